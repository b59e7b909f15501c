// Keys waiting for work: each at most once, never two runs of one key at a time, failures later and later.
// Knows nothing of what a key means.

import { backoffMs } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';

/** What a run wants next. Throwing means: again, with back-off; TerminalError: not before the key is added again. */
export interface Result {
  /** A planned later run; milliseconds. */
  requeueAfterMs?: number;
}

/** Trying again cannot help until something changes, which adds the key anew. */
export class TerminalError extends Error {
  override name = 'TerminalError';
}

export type Handler = (key: string, signal: AbortSignal) => Promise<Result>;

export interface WorkQueueOptions {
  clock: Clock;
  /** Runs at the same time, of different keys. */
  workers: number;
  /** First and longest delay after a failure; milliseconds. */
  firstMs: number;
  maxMs: number;
  onError(key: string, err: unknown, failures: number): void;
  /** Told when a run ends. Seconds. */
  onRun?: (seconds: number) => void;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** First in, first out; a key that is added again keeps its place. */
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  /** Added while they ran: run once more. */
  readonly #again = new Set<string>();
  /** Planned later: the timer that will add the key, and when. */
  readonly #planned = new Map<string, { at: number; timer: AbortController }>();
  readonly #failures = new Map<string, number>();
  #wake: () => void = () => {};

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Keys that wait or run. */
  get depth(): number {
    return this.#waiting.size + this.#running.size;
  }

  add(key: string): void {
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#wake();
  }

  /** Adds the key later. Of several plans for one key the earliest stays. */
  addAfter(key: string, delayMs: number): void {
    const at = this.#options.clock.now() + delayMs;
    const known = this.#planned.get(key);
    if (known && known.at <= at) return;
    known?.timer.abort();
    const timer = new AbortController();
    this.#planned.set(key, { at, timer });
    void this.#addAt(key, delayMs, timer.signal);
  }

  async #addAt(key: string, delayMs: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.clock.delay(delayMs, signal);
    } catch {
      return; // an earlier plan took its place, or the queue ended
    }
    this.#planned.delete(key);
    this.add(key);
  }

  /** Works until `signal` fires; then waits for the runs in progress and rejects with its reason. */
  async run(handler: Handler, signal: AbortSignal): Promise<void> {
    const onAbort = () => this.#wake();
    signal.addEventListener('abort', onAbort, { once: true });
    const runs = new Set<Promise<void>>();
    try {
      while (!signal.aborted) {
        const key = this.#take();
        if (key === undefined) await this.#changed();
        else {
          const run = this.#runOne(key, handler, signal);
          runs.add(run);
          void run.finally(() => runs.delete(run));
        }
      }
      await Promise.all(runs);
    } finally {
      signal.removeEventListener('abort', onAbort);
      for (const { timer } of this.#planned.values()) timer.abort();
      this.#planned.clear();
    }
    signal.throwIfAborted();
  }

  /** The next key that may run now. Taking it and marking it as running are one step. */
  #take(): string | undefined {
    if (this.#running.size >= this.#options.workers) return undefined;
    const [key] = this.#waiting;
    if (key === undefined) return undefined;
    this.#waiting.delete(key);
    this.#running.add(key);
    return key;
  }

  /** Only the one loop of `run` waits here, after it found nothing to do in the same step. */
  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #runOne(key: string, handler: Handler, signal: AbortSignal): Promise<void> {
    const startedAt = this.#options.clock.now();
    try {
      const { requeueAfterMs } = await handler(key, signal);
      this.#failures.delete(key);
      if (requeueAfterMs !== undefined) this.addAfter(key, requeueAfterMs);
    } catch (err) {
      if (!signal.aborted) this.#failed(key, err);
    }
    this.#options.onRun?.((this.#options.clock.now() - startedAt) / 1000);
    this.#running.delete(key);
    if (this.#again.delete(key)) this.#waiting.add(key);
    this.#wake();
  }

  #failed(key: string, err: unknown): void {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#options.onError(key, err, failures);
    if (err instanceof TerminalError) {
      this.#failures.delete(key);
      return;
    }
    this.#failures.set(key, failures);
    this.addAfter(key, backoffMs(failures, this.#options));
  }
}
