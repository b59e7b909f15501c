// The front's handle on the thread that knows the texts of a model. The thread starts with the first call. A vocabulary
// takes long to read, and so do long texts: in the front nothing waits for that but who asked.
import type { Worker } from 'node:worker_threads';
import { abortable, why, withTimeout } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import { moduleWorker } from '../../common/module.ts';
import type { VolumePath } from '../model/checkpoint/inside.ts';
import type { TextAnswer, TextCalls, TextMethod } from './protocol.ts';

export interface TextsOptions {
  /** Of the checkpoint. */
  folder: VolumePath;
  /** Time that a call may take: a template may never end. Milliseconds. */
  limitMs: number;
  clock: Clock;
  log: Logger;
}

/** Methods, so that each may take the result of its own call only. */
interface Waiter {
  resolve(result: unknown): void;
  reject(err: AppError): void;
}

export class Texts {
  readonly #options: TextsOptions;
  readonly #waiters = new Map<number, Waiter>();
  /** Texts of single tokens, as far as they were asked for: no more than the vocabulary. */
  readonly #tokens: (string | undefined)[] = [];
  #thread: Worker | undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(options: TextsOptions) {
    this.#options = options;
  }

  /** Rejects with what the thread says, TEXT_FAILED, or the signal's reason. */
  async call<M extends TextMethod>(
    method: M,
    params: TextCalls[M]['params'],
    signal: AbortSignal,
  ): Promise<TextCalls[M]['result']> {
    signal.throwIfAborted();
    const { clock, folder, limitMs } = this.#options;
    const id = ++this.#lastId;
    using limit = withTimeout(signal, limitMs, clock);
    try {
      const answer = new Promise<TextCalls[M]['result']>((resolve, reject) => {
        this.#waiters.set(id, { resolve, reject });
      });
      const thread = (this.#thread ??= this.#start());
      thread.ref();
      thread.postMessage({ id, folder, method, params }, []);
      return await abortable(answer, limit.signal);
    } catch (err: unknown) {
      if (signal.aborted || why(limit.signal) !== 'Timeout') throw err;
      this.#fail(`no answer within ${limitMs} ms`, err);
      throw failed(`no answer within ${limitMs} ms`, err);
    } finally {
      this.#waiters.delete(id);
      this.#rest();
    }
  }

  /** The text of each of `ids`, `token_id:<n>` from a checkpoint without a tokenizer, as vLLM does. */
  async ofTokens(ids: Iterable<number>, signal: AbortSignal): Promise<(id: number) => string> {
    const known = this.#tokens;
    const unknown = new Set<number>();
    for (const id of ids) if (known[id] === undefined) unknown.add(id);
    if (unknown.size > 0) {
      const missing = [...unknown];
      const texts = await this.#orNothing(this.call('tokens', { ids: missing }, signal));
      for (const [i, id] of missing.entries()) known[id] = texts?.[i] ?? numbered(id);
    }
    return (id) => known[id] ?? numbered(id);
  }

  /** Texts of rows of ids; empty from a checkpoint without a tokenizer. */
  async ofRows(params: TextCalls['decode']['params'], signal: AbortSignal): Promise<string[]> {
    const texts = await this.#orNothing(this.call('decode', params, signal));
    return texts ?? params.rows.map(() => '');
  }

  /** Ends the thread when its calls are answered. A later call has one for itself. */
  close(): void {
    this.#isClosed = true;
    this.#rest();
  }

  #start(): Worker {
    const thread = moduleWorker(import.meta.url, './text-thread');
    thread.on('message', (answer: TextAnswer) => this.#hear(answer));
    thread.on('error', (err) => this.#fail('its thread ended', err, thread));
    return thread;
  }

  #hear(answer: TextAnswer): void {
    const waiter = this.#waiters.get(answer.id);
    if ('error' in answer) waiter?.reject(new AppError(answer.error.code, answer.error.message));
    else waiter?.resolve(answer.result);
  }

  /** `thread` is given up with all that wait for it; the next call starts another. */
  #fail(how: string, cause: unknown, thread = this.#thread): void {
    if (!thread || thread !== this.#thread) return;
    this.#options.log.error({ err: cause, folder: this.#options.folder }, 'texts failed');
    this.#thread = undefined;
    void thread.terminate();
    for (const waiter of this.#waiters.values()) waiter.reject(failed(how, cause));
  }

  /** Without a call, a thread keeps no process alive, and one that is closed is not kept at all. */
  #rest(): void {
    if (this.#waiters.size > 0) return;
    this.#thread?.unref();
    if (!this.#isClosed) return;
    void this.#thread?.terminate();
    this.#thread = undefined;
  }

  async #orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
    try {
      return await answer;
    } catch (err: unknown) {
      if (!(err instanceof AppError) || err.code !== 'TOKENIZER_UNAVAILABLE') throw err;
      return undefined;
    }
  }
}

const numbered = (id: number): string => `token_id:${id}`;

const failed = (how: string, cause?: unknown): AppError =>
  new AppError('TEXT_FAILED', `reading or writing text: ${how}`, { cause });
