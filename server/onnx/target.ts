// What a graph is made for: what runs it, and the numbers that it computes with.

/** Of ONNX Runtime. */
export type Provider = 'CPU' | 'CUDA';

/** Of the rows between layers, and of the weights that they are multiplied by. */
export type FloatType = 'float32' | 'bfloat16' | 'float16';

export interface Target {
  readonly provider: Provider;
  readonly type: FloatType;
}

export const cpuTarget: Target = { provider: 'CPU', type: 'float32' };
