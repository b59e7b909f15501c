// Runs a graph of ours in this process, for tests of single blocks.
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import type { Scope } from '../../server/onnx/blocks/scope.ts';
import type { Weights } from '../../server/onnx/blocks/weights.ts';
import { encodeModel } from '../../server/onnx/encode.ts';
import { float32Tensor, type Graph, type Tensor } from '../../server/onnx/graph.ts';
import { Tape, type Value } from '../../server/onnx/tape.ts';
import { cpuTarget } from '../../server/onnx/target.ts';

export interface Array2 {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | BigInt64Array | Uint8Array;
}

export const floats = (shape: readonly number[], values: Iterable<number>): Array2 => ({
  shape,
  data: Float32Array.from(values),
});
export const integers = (shape: readonly number[], values: Iterable<number>): Array2 => ({
  shape,
  data: Int32Array.from(values),
});

export const flag = (value: boolean): Array2 => ({
  shape: [1],
  data: Uint8Array.of(Number(value)),
});

const types = new Map<unknown, 'float32' | 'int32' | 'int64' | 'bool'>([
  [Float32Array, 'float32'],
  [Int32Array, 'int32'],
  [BigInt64Array, 'int64'],
  [Uint8Array, 'bool'],
]);
const typeOf = ({ data }: Array2) => types.get(data.constructor) ?? 'float32';

export const longs = (shape: readonly number[], values: Iterable<number>): Array2 => ({
  shape,
  data: BigInt64Array.from(values, BigInt),
});

export const array = (shape: readonly number[], values: Float32Array): Tensor =>
  float32Tensor(values, shape);

/** Weights as they are, by the full names that a checkpoint would give them. */
export function weightsOf(tensors: Readonly<Record<string, Tensor>>): Weights {
  const find = (name: string): Tensor => {
    const tensor = tensors[name];
    if (!tensor) throw new RangeError(`the graph asks for "${name}"`);
    return tensor;
  };
  return {
    matrix: (name, { isTransposed }) => ({ format: 'Float', tensor: find(name), isTransposed }),
    table: (name) => ({ format: 'Float', tensor: find(name) }),
    vector: find,
  };
}

export const scopeOf = (tape: Tape, weights: Weights, target = cpuTarget): Scope => ({
  tape,
  weights,
  target,
  observe: () => {},
});

/** x [n, K] and w [N, K] → x·wᵀ [n, N], in float64. */
export function multiply(x: ArrayLike<number>, w: ArrayLike<number>, columns: number): number[] {
  const [n, rows] = [x.length / columns, w.length / columns];
  return Array.from({ length: n * rows }, (_, at) => {
    const [i, j] = [Math.floor(at / rows) * columns, (at % rows) * columns];
    let sum = 0;
    for (let k = 0; k < columns; k++) sum += x[i + k]! * w[j + k]!;
    return sum;
  });
}

export async function runGraph(
  graph: Graph,
  feeds: Record<string, Array2>,
): Promise<Record<string, { dims: readonly number[]; data: number[] }>> {
  const session = await InferenceSession.create(encodeModel(graph), {
    graphOptimizationLevel: 'basic',
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { model_external_initializers_file_folder_path: '/' } },
  });
  try {
    const tensors = Object.entries(feeds).map(([name, feed]) => {
      return [name, new RuntimeTensor(typeOf(feed), feed.data as never, feed.shape)] as const;
    });
    const outputs = await session.run(Object.fromEntries(tensors));
    const read = Object.entries(outputs).map(([name, { dims, data }]) => {
      return [name, { dims, data: Array.from(data as Float32Array) }] as const;
    });
    return Object.fromEntries(read);
  } finally {
    await session.release();
  }
}

/**
 * Runs what `record` writes over float32 or int32 inputs; gives its outputs by name. `own`: for inputs that what it
 * writes has of its own.
 */
export function runBlock<I extends Record<string, Array2>>(
  feeds: I,
  record: (tape: Tape, inputs: { [K in keyof I]: Value }) => Record<string, Value>,
  own: Record<string, Array2> = {},
): ReturnType<typeof runGraph> {
  const tape = Tape.start('/test');
  const inputs = Object.entries(feeds).map(([name, feed]) => {
    const shape = feed.shape.map((_, i) => `${name}_${i}`);
    return [name, tape.input({ name, type: typeOf(feed), shape })] as const;
  });
  const outputs = record(tape, Object.fromEntries(inputs) as { [K in keyof I]: Value });
  for (const [name, value] of Object.entries(outputs)) {
    tape.output({ name, type: 'float32', shape: [`${name}_a`, `${name}_b`] }, value);
  }
  return runGraph(tape.finish(), { ...feeds, ...own });
}

/** Reproducible numbers in -1 … 1. */
export function noise(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((max, value, i) => Math.max(max, Math.abs(value - (b[i] ?? NaN))), 0);
