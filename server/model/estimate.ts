// The memory that a model will take, from shapes and types alone: before anything is fetched, converted or loaded. Pure.
import type { Blueprint } from '../onnx/arch/blueprint.ts';
import type { Target } from '../onnx/target.ts';
import { elements, type FloatTensor } from './checkpoint/tensors.ts';
import { type Format, formatsOf, type Quantization } from './convert/plan.ts';
import { footprint } from './cuda/footprint.ts';
import type { Bytes } from './memory.ts';
import { checkpointBytes } from './weights.ts';

/** Of one number in the memory of a CPU: a code, and a float32 scale per block. */
const bytesPerNumber: Readonly<Record<Exclude<Format, 'AsIs'>, number>> = {
  Int8: 1 + 4 / 32,
  Int4: 0.5 + 4 / 32,
  NF4: 0.5 + 4 / 64,
};

/** What is known of a checkpoint before it is read. */
export interface Stored {
  /** Where they lie, if they are there yet. */
  readonly sources: ReadonlyMap<string, FloatTensor>;
  /** Bytes of a number of those that are not, as config.json says. */
  readonly numberBytes: number;
}

/** How a model is to be served. */
export interface Serving {
  readonly quantization: Quantization;
  readonly target: Target;
  readonly maxBatchTokens: number;
  readonly maxSequenceTokens: number;
}

/** Near the truth, not exact. */
export function estimateBytes(
  blueprint: Pick<Blueprint, 'tensors' | 'decoder'>,
  { sources, numberBytes }: Stored,
  { quantization, ...serving }: Serving,
): Bytes {
  if (serving.target.provider === 'CUDA') {
    const formats = formatsOf(blueprint, quantization);
    return footprint(blueprint.decoder, { ...serving, formats });
  }
  const stored = new Map(
    blueprint.tensors.map(({ name, shape }) => {
      return [name, sources.get(name)?.data.length ?? numberBytes * elements(shape)] as const;
    }),
  );
  const host =
    quantization === 'None'
      ? checkpointBytes(blueprint.tensors, stored)
      : convertedBytes(blueprint, stored, quantization);
  return { host: Math.ceil(host), device: 0 };
}

function convertedBytes(
  blueprint: Pick<Blueprint, 'tensors' | 'decoder'>,
  stored: ReadonlyMap<string, number>,
  quantization: Quantization,
): number {
  let sum = 0;
  for (const [{ name, shape }, format] of formatsOf(blueprint, quantization)) {
    const bytes = format === 'AsIs' ? stored.get(name) : elements(shape) * bytesPerNumber[format];
    sum += bytes ?? 0;
  }
  return sum;
}
