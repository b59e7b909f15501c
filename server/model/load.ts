// Turns a catalog entry into a session: refuse what cannot fit, prepare and convert in a new runner, make room, load,
// measure.
import { systemClock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import type { CatalogModel } from '../contract.ts';
import type { Provider } from '../onnx/target.ts';
import type { Device } from './cuda/device.ts';
import { fullPass } from './cuda/first-pass.ts';
import { type HubSettings, offlineHub } from './hub/settings.ts';
import { type Bytes, weightMemory } from './memory.ts';
import type { Prepared } from './protocol.ts';
import type { Ending, LoadModel } from './scoring.ts';
import { createSession, Runner } from './session.ts';
import { Store } from './store/store.ts';

export interface LoaderOptions {
  /** Folder of downloaded and converted models; may be shared by several servers. */
  readonly cacheDir: string;
  /** What it may take. Default: all but a rest of its volume. */
  readonly cacheBytes?: number;
  /** Default: nothing is downloaded. */
  readonly hub?: HubSettings;
  /** Threads of one runner. */
  readonly threads: number;
  /** Default: CPU. */
  readonly provider?: Provider;
  /** The GPU, with CUDA. Without it nothing is checked, and estimates stand for what a model takes. */
  readonly device?: Device;
  readonly log: Logger;
}

/**
 * The loader of one server. Besides what preparing throws: OUT_OF_MEMORY when the kernel ended the runner or an
 * allocation failed, RUNNER_DIED when somebody else did, LOAD_FAILED with the runtime's message, and the reason of
 * the signal when that fired.
 */
export function createLoader({ threads, log, ...options }: LoaderOptions): LoadModel {
  const { cacheDir, cacheBytes, hub = offlineHub, provider = 'CPU', device } = options;
  const sources = { cacheDir, cacheBytes, hub };
  const store = new Store({ dir: cacheDir, budgetBytes: cacheBytes, clock: systemClock });
  /** Tested once: it is the same GPU for all. */
  let isSound = provider === 'CPU';
  return async function loadModel(model, { admit, reserve, signal, ...heard }) {
    signal.throwIfAborted();
    let runner = new Runner(heard);
    const stop = () => void runner.kill();
    signal.addEventListener('abort', stop);
    try {
      const described = runner.call('describe', { model, sources, provider });
      const [{ estimate }] = await Promise.all([described, device?.check()]);
      admit(estimate);
      const prepare = () => runner.call('prepare', { model, sources, threads, provider });
      let prepared = await prepare();
      if (prepared.isConverted) {
        await runner.kill(); // what converting took is not the model's
        signal.throwIfAborted();
        runner = new Runner(heard);
        prepared = { ...(await prepare()), isConverted: true };
      }
      for (const entry of prepared.entries) await holdFor(runner, entry);
      const reserved: Bytes =
        provider === 'CPU' ? { host: prepared.weightBytes, device: 0 } : estimate;
      await reserve(reserved);
      signal.throwIfAborted();
      const load = async () => {
        if (!isSound) await runner.call('selfTest', { threads });
        isSound = true;
        await runner.call('load', { threads });
      };
      const work = { model, prepared, reserved, load };
      const memory = await loadMeasured(runner, work, device, signal);
      signal.throwIfAborted();
      const { identity, weightBytes, fidelity } = prepared;
      const figures = { weightBytes, memory, estimate, fidelity };
      log.info({ model: model.name, ...identity, ...figures }, 'loaded');
      return createSession(runner, prepared, memory);
    } catch (err: unknown) {
      const hasDied = err instanceof AppError && err.code === 'RUNNER_DIED';
      if (!hasDied) await runner.kill();
      signal.throwIfAborted();
      throw hasDied ? loadFailure(model.name, await runner.ended) : err;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  };

  /** Keeps `entry` of the cache folder as long as the runner lives. */
  async function holdFor({ ended }: Runner, entry: string): Promise<void> {
    const hold = await store.hold(entry);
    void ended
      .then(() => hold[Symbol.asyncDispose]())
      .catch((err: unknown) => log.warn({ err, entry }, 'the mark of a use stays behind'));
  }
}

interface Work {
  readonly model: CatalogModel;
  readonly prepared: Prepared;
  readonly reserved: Bytes;
  readonly load: () => Promise<void>;
}

/** What `load` took, as far as that can be measured; what was reserved for the rest. */
async function loadMeasured(
  runner: Runner,
  { model, prepared, reserved, load }: Work,
  device: Device | undefined,
  signal: AbortSignal,
): Promise<Bytes> {
  const empty = await weightMemory(runner.pid);
  const loadOnDevice = async () => {
    await load();
    await passOnce(runner, model, prepared);
  };
  const taken = device ? await device.take(runner, loadOnDevice, signal) : await load();
  const full = await weightMemory(runner.pid);
  const isKnown = empty !== undefined && full !== undefined;
  return {
    host: isKnown ? Math.max(0, full - empty) : reserved.host,
    // Less than the weights is no measurement: somebody else gave memory back meanwhile.
    device: taken && taken >= prepared.weightBytes ? taken : reserved.device,
  };
}

/** A pass as large as they come, so that all of its memory is there before others are promised the rest. */
async function passOnce(runner: Runner, model: CatalogModel, prepared: Prepared): Promise<void> {
  const { identity, vocabularySize } = prepared;
  const { maxBatchTokens } = model;
  const maxSequenceTokens = Math.min(model.maxSequenceTokens, identity.contextTokens);
  const rows = fullPass({ maxBatchTokens, maxSequenceTokens, vocabularySize });
  try {
    await runner.call(identity.task === 'Reward' ? 'reward' : 'score', rows);
  } catch (err: unknown) {
    if (!(err instanceof AppError) || err.code !== 'OUT_OF_DEVICE_MEMORY') throw err;
    const problem = `the GPU has no memory for a pass of ${maxBatchTokens} tokens`;
    const remedy = 'lower spec.limits.maxBatchTokens, or use a larger GPUClass';
    const message = `loading ${model.name}: ${problem}; ${remedy}: ${err.message}`;
    throw new AppError(err.code, message, { cause: err, retryAfterSeconds: 5 });
  }
}

/** Whoever killed it may not do so the next time; the others would end in the same way. */
const failureCodes = {
  OutOfMemory: 'OUT_OF_MEMORY',
  Killed: 'RUNNER_DIED',
  Crashed: 'LOAD_FAILED',
} as const;

const loadFailure = (name: string, { how, detail }: Ending): AppError =>
  new AppError(failureCodes[how], `loading ${name}: the runner did not finish, ${detail}`);
