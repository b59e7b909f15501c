// ONNX Runtime behind four words: make a session of a graph, run it, release it. The only file that imports it.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { AppError } from '../../common/errors.ts';
import { encodeModel } from '../onnx/encode.ts';
import type { Graph } from '../onnx/graph.ts';

/** An array that goes in or comes out. */
export type Feed =
  | { readonly type: 'float32'; readonly data: Float32Array; readonly shape: readonly number[] }
  | { readonly type: 'int32'; readonly data: Int32Array; readonly shape: readonly number[] }
  | { readonly type: 'int64'; readonly data: BigInt64Array; readonly shape: readonly number[] };
export type Feeds = Readonly<Record<string, Feed>>;

export interface EngineOptions {
  readonly threads: number;
}

/** A graph with its weights in memory. Running it blocks this process: the front has none. */
export class Engine {
  readonly #session: InferenceSession;
  readonly #inputs: ReadonlySet<string>;

  private constructor(session: InferenceSession) {
    this.#session = session;
    this.#inputs = new Set(session.inputNames);
  }

  /** Throws OUT_OF_MEMORY, or LOAD_FAILED with the runtime's message. */
  static async load(graph: Graph, { threads }: EngineOptions): Promise<Engine> {
    try {
      const options = sessionOptions(threads, roundsActivations(graph));
      return new Engine(await InferenceSession.create(encodeModel(graph), options));
    } catch (err: unknown) {
      throw engineError(err, 'LOAD_FAILED');
    }
  }

  /** `feeds` may hold more than the graph takes. Throws OUT_OF_MEMORY, or SCORE_FAILED with the runtime's message. */
  async run(feeds: Feeds): Promise<Results> {
    const tensors = Object.entries(feeds)
      .filter(([name]) => this.#inputs.has(name))
      .map(([name, { type, data, shape }]) => [name, new Tensor(type, data, shape)] as const);
    try {
      return new Results(await this.#session.run(Object.fromEntries(tensors)));
    } catch (err: unknown) {
      throw engineError(err, 'SCORE_FAILED');
    }
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

/** The outputs of a run by name. */
export class Results {
  readonly #outputs: Readonly<Record<string, Tensor>>;

  constructor(outputs: Readonly<Record<string, Tensor>>) {
    this.#outputs = outputs;
  }

  floats({ name }: { readonly name: string }): Float32Array {
    const output = this.#outputs[name];
    if (output?.data instanceof Float32Array) return output.data;
    throw new AppError('INTERNAL', `the graph gave ${output?.type} for "${name}", not float32`);
  }

  integers({ name }: { readonly name: string }): Int32Array {
    const output = this.#outputs[name];
    if (output?.data instanceof Int32Array) return output.data;
    throw new AppError('INTERNAL', `the graph gave ${output?.type} for "${name}", not int32`);
  }
}

const sessionOptions = (threads: number, packs: boolean): InferenceSession.SessionOptions => ({
  executionProviders: ['cpu'],
  // Folds the casts of 16-bit weights; the operators are fused as they are written.
  graphOptimizationLevel: 'basic',
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  enableMemPattern: false,
  logSeverityLevel: 3,
  extra: {
    session: {
      // Paths of weights are checked in source.ts, links resolved; the runtime sees them relative to this.
      model_external_initializers_file_folder_path: '/',
      // Packed float weights run hardly faster, take long to load, and are copies of what lies in the page cache. The
      // kernels that round activations exist for packed weights only.
      disable_prepacking: packs ? '0' : '1',
      // Several runners share the cores: a pool that spins takes them from its neighbours.
      intra_op: { allow_spinning: '0' },
    },
  },
});

/** Whether any kernel in `graph`, or in a graph inside it, is to round activations. */
const roundsActivations = ({ nodes }: Graph): boolean =>
  nodes.some(({ type, attributes }) => {
    const { accuracy_level: level } = attributes;
    if (type === 'MatMulNBits') return level !== undefined && 'int' in level && level.int === 4;
    return Object.values(attributes).some(
      (value) => 'graph' in value && roundsActivations(value.graph),
    );
  });

function engineError(err: unknown, code: 'LOAD_FAILED' | 'SCORE_FAILED'): AppError {
  if (err instanceof AppError) return err;
  const message = err instanceof Error ? err.message : String(err);
  const isMemory = /bad_alloc|failed to allocate|out of memory/i.test(message);
  return new AppError(isMemory ? 'OUT_OF_MEMORY' : code, message, { cause: err });
}
