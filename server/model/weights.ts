// From tensors in files to weights in a graph: which bytes are read from where, and how much memory they take.
// Opens no file.
import { AppError } from '../../common/errors.ts';
import type { Blueprint } from '../onnx/arch/blueprint.ts';
import type { TensorSpec } from '../onnx/arch/inventory.ts';
import type { MatrixShape, Weight, Weights } from '../onnx/blocks/weights.ts';
import type { Target } from '../onnx/target.ts';
import { elements, type FloatTensor } from './checkpoint/tensors.ts';
import { type Artifact, blockSizes, loadedBytes, type PlacedTensor } from './convert/artifact.ts';
import { type Format, formatsOf } from './convert/plan.ts';
import { weightBytes } from './cuda/footprint.ts';

/** Weights as the checkpoint has them. */
export function checkpointWeights(tensors: ReadonlyMap<string, FloatTensor>): Weights {
  const find = (name: string): FloatTensor => tensors.get(name) ?? unknown(name);
  return {
    matrix: (name, { isTransposed }) => ({ format: 'Float', tensor: find(name), isTransposed }),
    table: (name) => ({ format: 'Float', tensor: find(name) }),
    vector: find,
  };
}

/** Weights as a converted file has them. */
export function artifactWeights({ tensors }: Artifact): Weights {
  const find = (name: string): PlacedTensor => tensors.get(name) ?? unknown(name);
  return {
    matrix: (name, shape) => weight(find(name), shape),
    table(name) {
      const found = weight(find(name), {});
      if (found.format === 'NormalFloat') throw new AppError('INTERNAL', `"${name}" is no table`);
      return found;
    },
    vector(name) {
      const found = find(name);
      if (found.format !== 'AsIs') throw new AppError('INTERNAL', `"${name}" is no vector`);
      return found.whole;
    },
  };
}

function weight(
  placed: PlacedTensor,
  { isTransposed, isTolerant = false }: Pick<MatrixShape, 'isTransposed' | 'isTolerant'>,
): Weight {
  if (placed.format === 'AsIs') return { format: 'Float', tensor: placed.whole, isTransposed };
  const { format, ...blocks } = placed;
  const shared = { ...blocks, blockSize: blockSizes[format] };
  if (format === 'NF4') return { ...shared, format: 'NormalFloat' };
  const bits = format === 'Int8' ? 8 : 4;
  return { ...shared, format: 'Blocks', bits, roundsActivations: isTolerant && bits === 8 };
}

const unknown = (name: string): never => {
  throw new AppError('INTERNAL', `the graph asks for "${name}", which no spec names`);
};

/**
 * Bytes in memory of an unconverted model, given those of each tensor in its file. Matrices and vectors are held as
 * float32 whatever the file has, since the CPU has no kernel for less; a table is read in place.
 */
export function checkpointBytes(
  specs: readonly TensorSpec[],
  stored: ReadonlyMap<string, number>,
): number {
  const bytes = ({ name, role, shape }: TensorSpec): number =>
    (role === 'Table' && stored.get(name)) || 4 * elements(shape);
  return specs.reduce((sum, spec) => sum + bytes(spec), 0);
}

/** Bytes in memory of an unconverted model. */
export function wholeBytes(
  blueprint: Pick<Blueprint, 'tensors' | 'decoder'>,
  sources: ReadonlyMap<string, FloatTensor>,
  { provider, type }: Target,
): number {
  if (provider === 'CUDA') return weightBytes(formatsOf(blueprint, 'None'), type);
  const stored = new Map([...sources].map(([name, { data }]) => [name, data.length]));
  return checkpointBytes(blueprint.tensors, stored);
}

/** Bytes in memory of a converted model. `planned` has each of its tensors; the file says what became of it. */
export function artifactBytes(
  artifact: Artifact,
  planned: ReadonlyMap<TensorSpec, Format>,
  { provider, type }: Target,
): number {
  if (provider === 'CPU') return loadedBytes(artifact);
  const formats = new Map(
    Array.from(planned, ([spec, format]) => {
      return [spec, artifact.tensors.get(spec.name)?.format ?? format];
    }),
  );
  return weightBytes(formats, type);
}
