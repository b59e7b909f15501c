// What a model computes on, and with.
import type { FloatType } from '../quant/decode.ts';

export const providers = ['CPU', 'CUDA'] as const;
/** Of ONNX Runtime. */
export type Provider = (typeof providers)[number];

export const numberTypes = ['Float32', 'BFloat16', 'Float16'] as const;
/** As a spec names them. */
export type NumberType = (typeof numberTypes)[number];

export interface Target {
  readonly provider: Provider;
  /** Of the rows between layers, and of the weights that they are multiplied by. */
  readonly type: FloatType;
}

const types = {
  Float32: 'float32',
  BFloat16: 'bfloat16',
  Float16: 'float16',
} as const satisfies Record<NumberType, FloatType>;

/** A CPU computes in float32; a GPU in what is asked, else as the checkpoint is `stored`, float32 in 16 bits. */
export function targetFor(
  provider: Provider,
  { asked, stored }: { asked?: NumberType; stored: FloatType },
): Target {
  if (provider === 'CPU') return { provider, type: 'float32' };
  if (asked) return { provider, type: types[asked] };
  return { provider, type: stored === 'float16' ? 'float16' : 'bfloat16' };
}
