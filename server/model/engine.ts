// ONNX Runtime behind four words: make a session of a graph, run it, release it. The only file that imports it.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { AppError } from '../../common/errors.ts';
import { encodeModel } from '../onnx/encode.ts';
import type { Graph } from '../onnx/graph.ts';
import type { Provider } from '../onnx/target.ts';
import { failureCode } from './runtime-failure.ts';

/** An array that goes in or comes out. */
export type Feed =
  | { readonly type: 'float32'; readonly data: Float32Array; readonly shape: readonly number[] }
  | { readonly type: 'int32'; readonly data: Int32Array; readonly shape: readonly number[] }
  | { readonly type: 'int64'; readonly data: BigInt64Array; readonly shape: readonly number[] }
  | { readonly type: 'bool'; readonly data: Uint8Array; readonly shape: readonly number[] };
export type Feeds = Readonly<Record<string, Feed>>;

export interface EngineOptions {
  readonly threads: number;
  /** Default: CPU. */
  readonly provider?: Provider;
}

/** A graph with its weights in memory. Running it blocks this process: the front has none. */
export class Engine {
  readonly #session: InferenceSession;
  readonly #inputs: ReadonlySet<string>;

  readonly #provider: Provider;

  private constructor(session: InferenceSession, provider: Provider) {
    this.#session = session;
    this.#provider = provider;
    this.#inputs = new Set(session.inputNames);
  }

  /** Throws LOAD_FAILED, or what `failureCode` makes of the runtime's message. RUNNER_DIED: end this process. */
  static async load(graph: Graph, { threads, provider = 'CPU' }: EngineOptions): Promise<Engine> {
    try {
      const options =
        provider === 'CUDA'
          ? sessionOptions(threads, ['cuda', onDevice(graph)])
          : sessionOptions(threads, ['cpu', onProcessor(graph)]);
      return new Engine(await InferenceSession.create(encodeModel(graph), options), provider);
    } catch (err: unknown) {
      throw engineError(err, provider, 'LOAD_FAILED');
    }
  }

  /** `feeds` may hold more than the graph takes. Throws as `load`, SCORE_FAILED instead of LOAD_FAILED. */
  async run(feeds: Feeds): Promise<Results> {
    const tensors = Object.entries(feeds)
      .filter(([name]) => this.#inputs.has(name))
      .map(([name, { type, data, shape }]) => [name, new Tensor(type, data, shape)] as const);
    try {
      return new Results(await this.#session.run(Object.fromEntries(tensors)));
    } catch (err: unknown) {
      throw engineError(err, this.#provider, 'SCORE_FAILED');
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

const sessionOptions = (
  threads: number,
  [provider, session]: readonly ['cpu' | 'cuda', Readonly<Record<string, string>>],
): InferenceSession.SessionOptions => ({
  executionProviders: [provider],
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
      ...session,
      // Several runners share the cores: a pool that spins takes them from its neighbours.
      intra_op: { allow_spinning: '0' },
    },
  },
});

/**
 * Packed float weights run hardly faster, take long to load, and are copies of what lies in the page cache. The kernels
 * that round activations exist for packed weights only.
 */
const onProcessor = (graph: Graph) => ({
  disable_prepacking: roundsActivations(graph) ? '0' : '1',
});

/** Operators that decide on the host what the device is to do next. */
const hostBound = new Set(['Loop', 'NonZero']);

const onDevice = ({ nodes }: Graph) => ({
  disable_prepacking: '1',
  // Weights take their own size, not the next power of two.
  use_device_allocator_for_initializers: '1',
  // A node that the device cannot run would be slow and silent about it.
  disable_cpu_ep_fallback: nodes.some(({ type }) => hostBound.has(type)) ? '0' : '1',
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

function engineError(
  err: unknown,
  provider: Provider,
  code: 'LOAD_FAILED' | 'SCORE_FAILED',
): AppError {
  if (err instanceof AppError) return err;
  const message = err instanceof Error ? err.message : String(err);
  return new AppError(failureCode(message, provider) ?? code, message, { cause: err });
}
