// Threads that read and write what would hold up the event loop. Few, started when first needed; how much waits for
// them is bounded by what the server admits.
import type { Worker } from 'node:worker_threads';
import { AppError } from '../../../common/errors.ts';
import { moduleWorker } from '../../../common/module.ts';
import type { PrintTask } from '../answer/print.ts';
import type { BodyTask } from './body-tasks.ts';

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string; readonly isSyntax: boolean };

interface Waiter {
  resolve(value: unknown): void;
  reject(err: AppError): void;
}

export class BodyThreads {
  readonly #threads: Thread[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  /** Takes `bytes` over. Lists of numbers come as typed arrays. Throws MALFORMED_JSON. */
  parse(bytes: Uint8Array<ArrayBuffer>): Promise<unknown> {
    return this.#run({ kind: 'Parse', bytes }, bytes.buffer);
  }

  /** The text in UTF-8. */
  async print(rows: PrintTask): Promise<Uint8Array> {
    const printed = await this.#run({ kind: 'Print', rows }, rows.values.buffer);
    if (printed instanceof Uint8Array) return printed;
    throw new AppError('INTERNAL', 'writing a body: the thread gave no bytes');
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread.close()));
  }

  #run(task: BodyTask, buffer: ArrayBuffer): Promise<unknown> {
    return this.#idlest().run(task, buffer);
  }

  #idlest(): Thread {
    const alive = this.#threads.filter((thread) => !thread.hasEnded);
    const [first] = alive.sort((a, b) => a.waiting - b.waiting);
    this.#threads.splice(0, Infinity, ...alive);
    if (first && (first.waiting === 0 || alive.length >= this.#count)) return first;
    const thread = new Thread();
    this.#threads.push(thread);
    return thread;
  }
}

class Thread {
  hasEnded = false;
  readonly #worker: Worker;
  readonly #waiters = new Map<number, Waiter>();
  #lastId = 0;

  constructor() {
    this.#worker = moduleWorker(import.meta.url, './body-thread');
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    this.#worker.on('error', (err) => this.#end(err));
    this.#worker.on('exit', () => this.#end(new Error('the thread ended')));
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  run(task: BodyTask, buffer: ArrayBuffer): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject });
      this.#worker.postMessage({ id, task }, [buffer]);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: Answer): void {
    const waiter = this.#waiters.get(answer.id);
    this.#waiters.delete(answer.id);
    if ('value' in answer) waiter?.resolve(answer.value);
    else waiter?.reject(failure(answer.isSyntax, answer.error));
  }

  #end(cause: Error): void {
    this.hasEnded = true;
    for (const [id, waiter] of this.#waiters) {
      this.#waiters.delete(id);
      waiter.reject(new AppError('INTERNAL', `reading a body: ${cause.message}`, { cause }));
    }
  }
}

const failure = (isSyntax: boolean, message: string): AppError =>
  isSyntax
    ? new AppError('MALFORMED_JSON', `reading the body: ${message}`)
    : new AppError('INTERNAL', `reading a body: ${message}`);
