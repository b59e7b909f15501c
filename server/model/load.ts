// Turns a catalog entry into a session: refuse what cannot work, prepare and convert in a new runner, make room, load.
import { AppError } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import { supported } from './prepare.ts';
import type { LoadModel } from './scoring.ts';
import { createSession, describeExit, Runner } from './session.ts';

export interface LoaderOptions {
  /** Folder of converted models and digests; may be shared by several servers. */
  readonly cacheDir: string;
  /** Threads of one runner. */
  readonly threads: number;
  readonly log: Logger;
}

/**
 * The loader of one server. Besides what preparing throws: OUT_OF_MEMORY when the kernel ended the runner or an
 * allocation failed, LOAD_FAILED with the runtime's message, and the reason of the signal when that fired.
 */
export function createLoader({ cacheDir, threads, log }: LoaderOptions): LoadModel {
  return async function loadModel(model, { reserve, signal }) {
    supported(model);
    signal.throwIfAborted();
    const runner = new Runner();
    const stop = () => void runner.kill();
    signal.addEventListener('abort', stop);
    try {
      const prepared = await runner.call('prepare', { model, cacheDir });
      signal.throwIfAborted();
      await reserve(prepared.weightBytes);
      signal.throwIfAborted();
      const { seconds } = await runner.call('load', { threads });
      signal.throwIfAborted();
      const { identity, weightBytes, convertSeconds } = prepared;
      log.info({ model: model.name, ...identity, weightBytes, convertSeconds, seconds }, 'loaded');
      return createSession(runner, prepared, seconds);
    } catch (err: unknown) {
      const hasDied = err instanceof AppError && err.code === 'RUNNER_DIED';
      if (!hasDied) await runner.kill();
      signal.throwIfAborted();
      throw hasDied ? loadFailure(model.name, await runner.ended) : err;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  };
}

/** Nobody but the kernel sends SIGKILL to a runner that its loader has not given up. */
function loadFailure(name: string, exit: Awaited<Runner['ended']>): AppError {
  const code = exit.signal === 'SIGKILL' ? 'OUT_OF_MEMORY' : 'LOAD_FAILED';
  return new AppError(code, `loading ${name}: the runner did not finish, ${describeExit(exit)}`);
}
