// What a graph is made for: what runs it, and the numbers that it computes with.
import type { FloatType } from '../quant/decode.ts';

export const providers = ['CPU', 'CUDA'] as const;
/** Of ONNX Runtime. */
export type Provider = (typeof providers)[number];

export interface Target {
  readonly provider: Provider;
  /** Of the rows between layers, and of the weights that they are multiplied by. */
  readonly type: FloatType;
}

export const cpuTarget: Target = { provider: 'CPU', type: 'float32' };
