// Which tensor of a checkpoint becomes what under a quantization: see docs/quantization.md. Pure.
import type { CatalogModel } from '../../contract.ts';
import type { Blueprint } from '../../onnx/arch/blueprint.ts';
import type { TensorSpec } from '../../onnx/arch/inventory.ts';
import type { FloatTensor } from '../checkpoint/tensors.ts';

export type Quantization = CatalogModel['quantization'];

export type BlockFormat = 'Int8' | 'Int4' | 'NF4';
/** How a tensor lies in a converted file. */
export type Format = 'AsIs' | BlockFormat;

export interface PlannedTensor {
  readonly name: string;
  readonly format: Format;
  readonly source: FloatTensor;
  /** Of a matrix, as the graph multiplies by it. */
  readonly rows: number;
  readonly columns: number;
  /** The source is [K, N]: GPT-2. */
  readonly isTransposed: boolean;
}

/** Layers, and what has a row for each token: the embedding and the output projection. */
const formats: Readonly<Record<Quantization, Record<'layers' | 'vocabulary', Format>>> = {
  None: { layers: 'AsIs', vocabulary: 'AsIs' },
  Int8: { layers: 'Int8', vocabulary: 'Int8' },
  Int4: { layers: 'Int4', vocabulary: 'Int8' },
  NF4: { layers: 'NF4', vocabulary: 'AsIs' },
};

/** What each tensor becomes, each once, in the order in which the graph needs them. */
export function formatsOf(
  { tensors, decoder }: Pick<Blueprint, 'tensors' | 'decoder'>,
  quantization: Quantization,
): ReadonlyMap<TensorSpec, Format> {
  const vocabulary = vocabularyNames(decoder);
  const names = new Set<string>();
  const found = new Map<TensorSpec, Format>();
  for (const spec of tensors) {
    if (names.has(spec.name)) continue;
    names.add(spec.name);
    const part = vocabulary.has(spec.name) ? 'vocabulary' : 'layers';
    const format = formats[quantization][part];
    const gentle = spec.isSensitive && format === 'Int4' ? 'Int8' : format;
    found.set(spec, isQuantized(spec, part) ? gentle : 'AsIs');
  }
  return found;
}

export function planTensors(
  blueprint: Pick<Blueprint, 'tensors' | 'decoder'>,
  sources: ReadonlyMap<string, FloatTensor>,
  quantization: Quantization,
): PlannedTensor[] {
  return [...formatsOf(blueprint, quantization)].flatMap(([spec, format]) => {
    const { name, shape, isTransposed = false } = spec;
    const source = sources.get(name);
    if (!source) return [];
    const isShort = spec.isSensitive && quantization === 'Int8' && source.type !== 'float32';
    const [first = 1, second = 1] = shape;
    const [rows, columns] = isTransposed ? [second, first] : [first, second];
    // What is sensitive is small: it stays as it is where 16 bits keep it so.
    return [{ name, format: isShort ? 'AsIs' : format, source, rows, columns, isTransposed }];
  });
}

function vocabularyNames({ embedding, head }: Blueprint['decoder']): ReadonlySet<string> {
  const names = [embedding.name];
  if (head.task === 'LogProbs') {
    names.push(head.projection.tiedTo ?? `${head.projection.name}.weight`);
  }
  return new Set(names);
}

/** Small tensors are left alone, and so are tables of positions. Rows of a table are gathered in whole blocks. */
function isQuantized({ role, shape, isExact }: TensorSpec, part: 'layers' | 'vocabulary'): boolean {
  if (role === 'Vector' || isExact) return false;
  return part === 'vocabulary' ? (shape[1] ?? 0) % 32 === 0 : role === 'Matrix';
}
