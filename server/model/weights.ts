// From tensors in files to weights in a graph: which bytes are read from where, and how much memory they take.
// Opens no file.
import { AppError } from '../../common/errors.ts';
import type { TensorSpec } from '../onnx/arch/blueprint.ts';
import type { Weight, Weights } from '../onnx/blocks/weights.ts';
import { int8BlockSize } from '../quant/int8.ts';
import type { ConvertedTensor } from './artifact.ts';
import { elements, type FloatTensor } from './tensors.ts';

/** Weights as the checkpoint has them; matrices in `converted` are taken from there. */
export function modelWeights(
  tensors: ReadonlyMap<string, FloatTensor>,
  converted: ReadonlyMap<string, ConvertedTensor>,
): Weights {
  const find = (name: string): FloatTensor => findTensor(tensors, name);
  return {
    matrix: (name) => matrix(find(name), converted.get(name)),
    table: find,
    vector: find,
  };
}

function matrix(tensor: FloatTensor, blocks: ConvertedTensor | undefined): Weight {
  if (!blocks) return { format: 'Float', tensor };
  const [rows = 0, columns = 0] = tensor.shape;
  return { format: 'Int8', rows, columns, blockSize: int8BlockSize, ...blocks };
}

function findTensor(tensors: ReadonlyMap<string, FloatTensor>, name: string): FloatTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw new AppError('INTERNAL', `the graph asks for "${name}", which no spec names`);
  return tensor;
}

/**
 * Bytes in memory once loaded. A matrix that is not converted is held as float32 whatever its file has, since the CPU
 * has no kernel for less; a table is read in place.
 */
export function weightBytes(
  specs: readonly TensorSpec[],
  tensors: ReadonlyMap<string, FloatTensor>,
  converted: ReadonlyMap<string, ConvertedTensor>,
): number {
  const bytes = ({ name, role, shape }: TensorSpec): number => {
    const blocks = role === 'Matrix' ? converted.get(name) : undefined;
    if (blocks) return blocks.codes.data.length + blocks.scales.data.length;
    return role === 'Table' ? findTensor(tensors, name).data.length : 4 * elements(shape);
  };
  return specs.reduce((sum, spec) => sum + bytes(spec), 0);
}
