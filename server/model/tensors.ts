// Holds a checkpoint against what its architecture needs. Opens no file.
import { AppError } from '../../common/errors.ts';
import type { TensorSpec } from '../onnx/arch/blueprint.ts';
import type { FileRange } from '../onnx/graph.ts';
import type { FloatType } from '../quant/decode.ts';
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
  return new Map(specs.map((spec) => [spec.name, requireTensor(spec, stored.get(spec.name))]));
}

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
export function countParameters(tensors: ReadonlyMap<string, FloatTensor>): number {
  return [...tensors.values()].reduce((sum, { shape }) => sum + elements(shape), 0);
}

export const elements = (shape: readonly number[]): number =>
  shape.reduce((product, dim) => product * dim, 1);
