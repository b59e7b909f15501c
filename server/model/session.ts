// The front's handle on a runner process: calls in, answers out, and the end of the process as a promise.
import { type ChildProcess, fork } from 'node:child_process';
import { AppError } from '../../common/errors.ts';
import { modulePath } from '../../common/module.ts';
import type { Answer, Calls, Method, Prepared } from './protocol.ts';
import type { ScoredRow, ScoreRow, Session } from './scoring.ts';

/** Methods, so that each may take the result of its own call only. */
interface Waiter {
  resolve(result: unknown): void;
  reject(err: AppError): void;
}

/** How a runner ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Runner {
  /** Settles, never rejects, once the process has ended. */
  readonly ended: Promise<Exit>;
  readonly #process: ChildProcess;
  readonly #waiters = new Map<number, Waiter>();
  #lastId = 0;

  constructor() {
    const file = modulePath(import.meta.url, './runner');
    this.#process = fork(file, { serialization: 'advanced', stdio: ['ignore', 2, 2, 'ipc'] });
    this.#process.on('message', (answer: Answer) => this.#settle(answer));
    this.ended = new Promise<Exit>((resolve) => {
      this.#process.on('error', () => {
        if (this.#process.pid === undefined) resolve({ code: null, signal: null });
      });
      this.#process.once('exit', (code, signal) => resolve({ code, signal }));
    }).then((exit) => this.#end(exit));
  }

  /** Rejects with the runner's own error, or with RUNNER_DIED when it ends first. */
  call<M extends Method>(method: M, params: Calls[M]['params']): Promise<Calls[M]['result']> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject });
      this.#process.send({ id, method, params }, (err) => {
        if (err) this.#take(id)?.reject(died('its channel is closed', err));
      });
    });
  }

  /** Ends the process at once, whatever it does, and waits until its memory is back. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.ended;
  }

  #settle(answer: Answer): void {
    const waiter = this.#take(answer.id);
    if ('error' in answer) waiter?.reject(new AppError(answer.error.code, answer.error.message));
    else waiter?.resolve(answer.result);
  }

  #take(id: number): Waiter | undefined {
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    return waiter;
  }

  #end(exit: Exit): Exit {
    for (const id of this.#waiters.keys()) this.#take(id)?.reject(died(describeExit(exit)));
    return exit;
  }
}

export const describeExit = ({ code, signal }: Exit): string =>
  signal ? `it was ended by ${signal}` : `it ended with code ${code}`;

const died = (how: string, cause?: unknown): AppError =>
  new AppError('RUNNER_DIED', `asking the runner: ${how}`, { cause });

/** A loaded model in `runner`. */
export function createSession(
  runner: Runner,
  { folder, identity, vocabularySize, weightBytes, convertSeconds }: Prepared,
  loadSeconds: number,
): Session {
  return {
    folder,
    identity,
    vocabularySize,
    weightBytes,
    seconds: { convert: convertSeconds, load: loadSeconds },
    score: (rows: readonly ScoreRow[]): Promise<ScoredRow[]> => runner.call('score', rows),
    ended: untilEnded(runner),
    close: () => runner.kill(),
  };
}

async function untilEnded({ ended }: Runner): Promise<void> {
  await ended;
}
