// Asks for pods as long as they are needed. Level-based: a wake that is lost, or undone by a scale-down
// that crossed it, is repaired by the next one.
import { withTimeout } from '../../common/abort.ts';
import { Backoff } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';
import { toAppError } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import { type Tracing, traced } from '../../common/tracing.ts';
import type { PoolKey } from '../pool.ts';
import type { Backend } from './backend.ts';

export interface WakerOptions {
  backend: Pick<Backend, 'wake'>;
  /** True while requests wait for the pool and none of its endpoints can take them. */
  isNeeded: (pool: PoolKey) => boolean;
  onWake: (pool: PoolKey) => void;
  /** The first call that succeeded, and the time since the need arose. */
  onWoken: (pool: PoolKey, seconds: number) => void;
  onWakeFailed: (pool: PoolKey) => void;
  clock: Clock;
  log: Logger;
  tracing: Tracing;
}

/** One call to the backend may take this long. */
const callTimeoutMs = 10_000;
const retry = { firstMs: 500, maxMs: 10_000 };

export class Waker {
  readonly #options: WakerOptions;
  /** One loop per pool; its controller ends it. */
  readonly #loops = new Map<PoolKey, AbortController>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #failures = new Map<PoolKey, string>();
  #isClosed = false;

  constructor(options: WakerOptions) {
    this.#options = options;
  }

  /** Begins to ask for the pool, unless that is going on. Call it in the step that makes the need. */
  ensure(pool: PoolKey): void {
    if (this.#loops.has(pool) || this.#isClosed) return;
    const loop = new AbortController();
    this.#loops.set(pool, loop);
    const task = this.#run(pool, loop.signal);
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }

  /** Ends the asking if nobody needs the pool any more, so that the next need is answered at once. */
  relax(pool: PoolKey): void {
    if (!this.#options.isNeeded(pool)) this.#end(pool);
  }

  /** Why the last wake of the pool failed; undefined when it did not. */
  failure(pool: PoolKey): string | undefined {
    return this.#failures.get(pool);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const pool of this.#loops.keys()) this.#end(pool);
    await Promise.all(this.#tasks);
  }

  #end(pool: PoolKey): void {
    this.#loops.get(pool)?.abort();
    this.#loops.delete(pool);
    this.#failures.delete(pool);
  }

  async #run(pool: PoolKey, signal: AbortSignal): Promise<void> {
    const { isNeeded, onWoken, clock } = this.#options;
    const backoff = new Backoff(retry);
    const startedMs = clock.now();
    let isWoken = false;
    while (!signal.aborted && isNeeded(pool)) {
      const isDone = await this.#wake(pool, signal);
      if (isDone && !isWoken) onWoken(pool, (clock.now() - startedMs) / 1000);
      isWoken ||= isDone;
      await clock.delay(backoff.next(), signal).catch(() => {}); // the loop ends
    }
    // In the same step as the last look at isNeeded: a need that comes later finds the way free.
    if (!signal.aborted) this.#end(pool);
  }

  /** True when the backend has it. */
  async #wake(pool: PoolKey, signal: AbortSignal): Promise<boolean> {
    const { backend, onWake, onWakeFailed, clock, log, tracing } = this.#options;
    using limit = withTimeout(signal, callTimeoutMs, clock);
    try {
      onWake(pool);
      const attributes = { 'refmodel.pool': pool };
      await traced(tracing, 'wake', { attributes }, () => backend.wake(pool, limit.signal));
      this.#failures.delete(pool);
      return true;
    } catch (err) {
      if (signal.aborted) return false;
      onWakeFailed(pool);
      this.#failures.set(pool, toAppError(err).message);
      log.warn({ pool, err }, 'wake failed');
      return false;
    }
  }
}
