// What a model computes with, on what it computes on.
import { cpuTarget, type Provider, type Target } from '../onnx/target.ts';
import type { FloatType } from '../quant/decode.ts';

export const numberTypes = ['Float32', 'BFloat16', 'Float16'] as const;
/** As a spec names them. */
export type NumberType = (typeof numberTypes)[number];

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
  if (provider === 'CPU') return cpuTarget;
  if (asked) return { provider, type: types[asked] };
  return { provider, type: stored === 'float16' ? 'float16' : 'bfloat16' };
}
