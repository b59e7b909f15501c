// The front's handle on a runner process: calls in, answers out, and the end of the process as a promise.
import { type ChildProcess, fork } from 'node:child_process';
import { setPriority } from 'node:os';
import { AppError } from '../../common/errors.ts';
import { modulePath } from '../../common/module.ts';
import { type Bytes, oomKills } from './memory.ts';
import type { Answer, Calls, Message, Method, Prepared } from './protocol.ts';
import type { Ending, LoadSteps, Session } from './scoring.ts';

/** Niceness of runners: the front is to answer whatever they compute. */
const priority = 10;

/** GPUs are counted as the driver counts them; float32 is not rounded to 19 bits in products. */
const cudaEnvironment = { CUDA_DEVICE_ORDER: 'PCI_BUS_ID', NVIDIA_TF32_OVERRIDE: '0' };

/** Methods, so that each may take the result of its own call only. */
interface Waiter {
  resolve(result: unknown): void;
  reject(err: AppError): void;
}

/** What node tells of the end of a process. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Who is told what its calls do on their way. */
type Heard = Pick<LoadSteps, 'report' | 'onDiskEvicted'>;

export class Runner {
  /** Settles, never rejects, once the process has ended. */
  readonly ended: Promise<Ending>;
  readonly #process: ChildProcess;
  readonly #heard: Heard;
  readonly #oomKillsBefore = oomKills();
  readonly #waiters = new Map<number, Waiter>();
  #lastId = 0;

  constructor(heard: Heard) {
    this.#heard = heard;
    const file = modulePath(import.meta.url, './runner');
    this.#process = fork(file, {
      env: { ...process.env, ...cudaEnvironment },
      serialization: 'advanced',
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    if (this.#process.pid !== undefined) lowerPriority(this.#process.pid);
    this.#process.on('message', (message: Message) => this.#hear(message));
    this.ended = new Promise<Exit>((resolve) => {
      this.#process.on('error', () => {
        if (this.#process.pid === undefined) resolve({ code: null, signal: null });
      });
      this.#process.once('exit', (code, signal) => resolve({ code, signal }));
    }).then((exit) => this.#end(exit));
  }

  /** 0 when it could not even start. */
  get pid(): number {
    return this.#process.pid ?? 0;
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

  #hear(message: Message): void {
    if ('progress' in message) this.#heard.report(message.progress);
    else if ('evictedBytes' in message) this.#heard.onDiskEvicted(message.evictedBytes);
    else this.#settle(message);
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

  async #end(exit: Exit): Promise<Ending> {
    const before = await this.#oomKillsBefore;
    const ending = endingOf(exit, before !== (await oomKills()) || before === undefined);
    for (const id of this.#waiters.keys()) this.#take(id)?.reject(died(ending.detail));
    return ending;
  }
}

/** Threads that it starts later inherit it. */
function lowerPriority(pid: number): void {
  try {
    setPriority(pid, priority);
  } catch {
    // It has ended already, or the system does not allow it: then all are equal.
  }
}

/** `mayBeOom`: the kernel ended some process for want of memory meanwhile, or does not tell. */
export function endingOf(exit: Exit, mayBeOom: boolean): Ending {
  const detail = describeExit(exit);
  if (exit.signal !== 'SIGKILL') return { how: 'Crashed', detail };
  return mayBeOom
    ? { how: 'OutOfMemory', detail: `${detail}, memory ran out` }
    : { how: 'Killed', detail };
}

export const describeExit = ({ code, signal }: Exit): string =>
  signal ? `it was ended by ${signal}` : `it ended with code ${code}`;

const died = (how: string, cause?: unknown): AppError =>
  new AppError('RUNNER_DIED', `asking the runner: ${how}`, { cause });

/** A loaded model in `runner`. */
export function createSession(runner: Runner, prepared: Prepared, memory: Bytes): Session {
  return {
    ...prepared,
    memory,
    pid: runner.pid,
    score: (rows) => runner.call('score', rows),
    reward: (rows) => runner.call('reward', rows),
    ended: runner.ended,
    close: () => runner.kill(),
  };
}
