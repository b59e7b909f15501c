// Turns a catalog entry into a session: refuse what cannot fit, prepare and convert in a new runner, make room, load,
// measure.
import { systemClock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import { type HubSettings, offlineHub } from './hub/settings.ts';
import { type Bytes, weightMemory } from './memory.ts';
import type { Ending, LoadModel } from './scoring.ts';
import { createSession, Runner } from './session.ts';
import { Store } from './store/store.ts';
import type { Provider } from './target.ts';

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
  readonly log: Logger;
}

/**
 * The loader of one server. Besides what preparing throws: OUT_OF_MEMORY when the kernel ended the runner or an
 * allocation failed, RUNNER_DIED when somebody else did, LOAD_FAILED with the runtime's message, and the reason of
 * the signal when that fired.
 */
export function createLoader({ threads, log, ...options }: LoaderOptions): LoadModel {
  const { cacheDir, cacheBytes, hub = offlineHub, provider = 'CPU' } = options;
  const sources = { cacheDir, cacheBytes, hub };
  const store = new Store({ dir: cacheDir, budgetBytes: cacheBytes, clock: systemClock });
  return async function loadModel(model, { admit, reserve, report, signal }) {
    signal.throwIfAborted();
    let runner = new Runner(report);
    const stop = () => void runner.kill();
    signal.addEventListener('abort', stop);
    try {
      const { estimate } = await runner.call('describe', { model, sources, provider });
      admit(estimate);
      const prepare = () => runner.call('prepare', { model, sources, threads, provider });
      let prepared = await prepare();
      if (prepared.isConverted) {
        await runner.kill(); // what converting took is not the model's
        signal.throwIfAborted();
        runner = new Runner(report);
        prepared = await prepare();
      }
      const empty = await weightMemory(runner.pid);
      signal.throwIfAborted();
      for (const entry of prepared.entries) await holdFor(runner, entry);
      const reserved: Bytes =
        provider === 'CPU' ? { host: prepared.weightBytes, device: 0 } : estimate;
      await reserve(reserved);
      signal.throwIfAborted();
      await runner.call('load', { threads, provider });
      const full = await weightMemory(runner.pid);
      signal.throwIfAborted();
      const memory = measured(reserved, empty, full);
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

/** What the runner takes more than when it was empty; the estimate where the system does not tell. */
function measured(estimate: Bytes, empty: number | undefined, full: number | undefined): Bytes {
  if (empty === undefined || full === undefined) return estimate;
  return { ...estimate, host: Math.max(0, full - empty) };
}

/** Whoever killed it may not do so the next time; the others would end in the same way. */
const failureCodes = {
  OutOfMemory: 'OUT_OF_MEMORY',
  Killed: 'RUNNER_DIED',
  Crashed: 'LOAD_FAILED',
} as const;

const loadFailure = (name: string, { how, detail }: Ending): AppError =>
  new AppError(failureCodes[how], `loading ${name}: the runner did not finish, ${detail}`);
