// Holds a checkpoint against what its architecture needs. Opens no file.
import { AppError } from '../../../common/errors.ts';
import type { TensorSpec } from '../../onnx/arch/inventory.ts';
import type { FileRange } from '../../onnx/graph.ts';
import type { FloatType } from '../../quant/decode.ts';
import { corrupt, type SafetensorsType, type StoredTensor } from './safetensors.ts';

/** A weight of the checkpoint, where it lies. */
export interface FloatTensor {
  readonly type: FloatType;
  readonly shape: readonly number[];
  readonly data: FileRange;
}

const floatTypes: Readonly<Partial<Record<SafetensorsType, FloatType>>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

/** What `specs` names, by name. Throws TENSOR_MISSING, or WEIGHTS_CORRUPT for another shape or type. */
export function requireTensors(
  specs: readonly TensorSpec[],
  stored: ReadonlyMap<string, StoredTensor>,
): ReadonlyMap<string, FloatTensor> {
  return new Map(specs.map((spec) => [spec.name, requireTensor(spec, storedAs(spec, stored))]));
}

const storedAs = (
  { name, aliases = [] }: TensorSpec,
  stored: ReadonlyMap<string, StoredTensor>,
): StoredTensor | undefined =>
  [name, ...aliases].map((each) => stored.get(each)).find((found) => found !== undefined);

function requireTensor(spec: TensorSpec, stored: StoredTensor | undefined): FloatTensor {
  if (!stored) {
    throw new AppError('TENSOR_MISSING', `reading the weights: no file has "${spec.name}"`);
  }
  const { shape, file, offset, length } = stored;
  const type = floatTypes[stored.type];
  if (!type) {
    throw corrupt(file, `tensor "${spec.name}" is ${stored.type}, not F32, F16 or BF16`);
  }
  if (shape.join() !== spec.shape.join()) {
    throw corrupt(file, `tensor "${spec.name}" is [${shape.join()}], not [${spec.shape.join()}]`);
  }
  return { type, shape, data: { file, offset, length } };
}

/** Numbers in the checkpoint; a tied tensor counts once. */
export function countParameters(specs: readonly TensorSpec[]): number {
  const shapes = new Map(specs.map(({ name, shape }) => [name, shape]));
  return [...shapes.values()].reduce((sum, shape) => sum + elements(shape), 0);
}

/** Bytes of the checkpoint that are read. */
export const storedBytes = (tensors: ReadonlyMap<string, FloatTensor>): number =>
  [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);

export const elements = (shape: readonly number[]): number =>
  shape.reduce((product, dim) => product * dim, 1);
