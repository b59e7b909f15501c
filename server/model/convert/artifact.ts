// A converted model as a file: everything that its graph needs, in safetensors, and how far it is from the original.
// Knows where the bytes go, not how they are made.
import { AppError } from '../../../common/errors.ts';
import type { TensorSpec } from '../../onnx/arch/inventory.ts';
import type { FileRange, Tensor } from '../../onnx/graph.ts';
import {
  type Layout,
  layOut,
  type NewTensor,
  readSafetensors,
  type SafetensorsType,
  type StoredTensor,
} from '../checkpoint/safetensors.ts';
import { elements } from '../checkpoint/tensors.ts';
import { isErrno } from '../disk.ts';
import type { BlockFormat, PlannedTensor } from './plan.ts';

export type FileTensor = Tensor & { readonly data: FileRange };

/** A matrix or table in blocks. */
export interface PlacedBlocks {
  readonly format: BlockFormat;
  readonly rows: number;
  readonly columns: number;
  /** uint8 [N, blocks, block · bits / 8]; flat for NF4 */
  readonly codes: FileTensor;
  /** One per block: bfloat16 [N, blocks]; float32, flat, for NF4 */
  readonly scales: FileTensor;
}

/** Where a tensor lies in the converted file. */
export type PlacedTensor = { readonly format: 'AsIs'; readonly whole: FileTensor } | PlacedBlocks;

export interface Artifact {
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
  /** Figures of the fidelity probe, float64 [4]. */
  readonly fidelity: FileRange;
}

/** Weights that share a scale. */
export const blockSizes = { Int8: 32, Int4: 32, NF4: 64 } as const satisfies Record<
  BlockFormat,
  number
>;
const bits = { Int8: 8, Int4: 4, NF4: 4 } as const satisfies Record<BlockFormat, number>;

const fidelityName = 'refmodel.fidelity';
const codesOf = (name: string) => `${name}.codes`;
const scalesOf = (name: string) => `${name}.scales`;

/** The file for `plan`. The names in its metadata are for people. */
export function layOutArtifact(
  file: string,
  plan: readonly PlannedTensor[],
  metadata: Readonly<Record<string, string>>,
): Layout {
  const fidelity: NewTensor = { name: fidelityName, type: 'F64', shape: [4] };
  return layOut(file, [...plan.flatMap(newTensors), fidelity], metadata);
}

function newTensors({ name, format, source, rows, columns }: PlannedTensor): NewTensor[] {
  if (format === 'AsIs') return [{ name, type: storedTypes[source.type], shape: source.shape }];
  const size = blockSizes[format];
  if (format === 'NF4') {
    const blocks = Math.ceil((rows * columns) / size);
    return [
      { name: codesOf(name), type: 'U8', shape: [Math.ceil((rows * columns) / 2)] },
      { name: scalesOf(name), type: 'F32', shape: [blocks] },
    ];
  }
  const blocks = Math.ceil(columns / size);
  return [
    { name: codesOf(name), type: 'U8', shape: [rows, blocks, (size * bits[format]) / 8] },
    { name: scalesOf(name), type: 'BF16', shape: [rows, blocks] },
  ];
}

const storedTypes = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' } as const;

/** The artifact in `file`, or nothing when there is none or it is not whole. */
export async function openArtifact(
  file: string,
  specs: readonly TensorSpec[],
  signal: AbortSignal,
): Promise<Artifact | undefined> {
  try {
    return artifactOf(await readSafetensors(file, signal), specs);
  } catch (err: unknown) {
    if (err instanceof AppError || isErrno(err, 'ENOENT')) return undefined;
    throw err;
  }
}

/** Throws TENSOR_MISSING when `stored` is not the whole of it. */
export function artifactOf(
  stored: ReadonlyMap<string, StoredTensor>,
  specs: readonly TensorSpec[],
): Artifact {
  const tensors = new Map(specs.map((spec) => [spec.name, placeTensor(stored, spec)]));
  return { tensors, fidelity: find(stored, fidelityName).data };
}

function placeTensor(stored: ReadonlyMap<string, StoredTensor>, spec: TensorSpec): PlacedTensor {
  const { name, shape, isTransposed } = spec;
  if (stored.has(name)) return { format: 'AsIs', whole: find(stored, name) };
  const codes = find(stored, codesOf(name));
  const scales = find(stored, scalesOf(name));
  const [first = 0, second = 0] = shape;
  const [rows, columns] = isTransposed ? [second, first] : [first, second];
  return { format: formatOf(codes), rows, columns, codes, scales };
}

/** A block of 32 takes 32 bytes or 16; those of NF4 are flat. */
function formatOf({ shape }: FileTensor): BlockFormat {
  if (shape.length === 1) return 'NF4';
  return shape[2] === blockSizes.Int8 ? 'Int8' : 'Int4';
}

function find(stored: ReadonlyMap<string, StoredTensor>, name: string): FileTensor {
  const found = stored.get(name);
  if (!found) throw new AppError('TENSOR_MISSING', `reading a converted model: it lacks "${name}"`);
  const { file, offset, length, shape } = found;
  return { type: elementTypes[found.type] ?? 'float32', shape, data: { file, offset, length } };
}

const elementTypes: Readonly<Partial<Record<SafetensorsType, FileTensor['type']>>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  U8: 'uint8',
};

/** Bytes of its weights in memory: scales of bfloat16 become float32 on the CPU. */
export function loadedBytes({ tensors }: Artifact): number {
  let bytes = 0;
  for (const tensor of tensors.values()) {
    if (tensor.format === 'AsIs') bytes += tensor.whole.data.length;
    else bytes += tensor.codes.data.length + 4 * elements(tensor.scales.shape);
  }
  return bytes;
}
