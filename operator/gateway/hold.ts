// The bounded queue of requests that wait for a pod. It knows keys and sizes, not what is waited for.
import { AppError } from '../../common/errors.ts';

export interface HoldLimits {
  maxRequests: number;
  maxBytes: number;
}

export interface HoldRequest<T> {
  /** What is waited for; waiters of one key leave in order of arrival. */
  key: string;
  /** Memory that the request keeps while it waits. */
  bytes: number;
  /** What the request needs, if it is there now. Takes it in the same step; throws to give up. */
  attempt: () => T | undefined;
}

interface Waiter {
  bytes: number;
  retry(): void;
}

/**
 * Waiters in order of arrival:
 *
 *     key A ─▶ { waiter, waiter, waiter }   a Set: first in, first out, and an aborted one leaves in O(1)
 *     key B ─▶ { waiter }
 *
 * `attempt` and the entry into the queue happen in one synchronous step, and `recheck` runs the same `attempt`:
 * whatever becomes available either is seen by the arriving request or finds it in the queue.
 */
export class Hold {
  readonly #limits: HoldLimits;
  readonly #waiting = new Map<string, Set<Waiter>>();
  #count = 0;
  #bytes = 0;

  constructor(limits: HoldLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  held(key: string): number {
    return this.#waiting.get(key)?.size ?? 0;
  }

  /** Keys with at least one waiter. */
  keys(): string[] {
    return [...this.#waiting.keys()];
  }

  /**
   * The value of `attempt`: now, or at the first `recheck` that finds it.
   * Rejects with QUEUE_FULL, with what `attempt` throws, or with the signal's reason.
   */
  take<T>(request: HoldRequest<T>, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      signal.throwIfAborted();
      const value = request.attempt();
      if (value === undefined) this.#enter(request, signal, { resolve, reject });
      else resolve(value);
    });
  }

  /** Lets the waiters of a key try again, in order. Those that find nothing keep their place. */
  recheck(key: string): void {
    for (const waiter of this.#waiting.get(key) ?? []) waiter.retry();
  }

  #enter<T>(
    { key, bytes, attempt }: HoldRequest<T>,
    signal: AbortSignal,
    promise: { resolve: (value: T) => void; reject: (reason: unknown) => void },
  ): void {
    this.#assertRoom(bytes);
    const leave = () => {
      signal.removeEventListener('abort', onAbort);
      this.#remove(key, waiter);
    };
    const onAbort = () => {
      leave();
      promise.reject(signal.reason);
    };
    const retry = () => {
      try {
        const value = attempt();
        if (value === undefined) return;
        promise.resolve(value);
      } catch (err) {
        promise.reject(err);
      }
      leave();
    };
    const waiter: Waiter = { bytes, retry };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#add(key, waiter);
  }

  #assertRoom(bytes: number): void {
    const { maxRequests, maxBytes } = this.#limits;
    if (this.#count < maxRequests && this.#bytes + bytes <= maxBytes) return;
    const state = `${this.#count} requests of ${this.#bytes} bytes wait already`;
    throw new AppError('QUEUE_FULL', `holding the request: ${state}`);
  }

  #add(key: string, waiter: Waiter): void {
    const waiters = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiters.add(waiter));
    this.#count += 1;
    this.#bytes += waiter.bytes;
  }

  #remove(key: string, waiter: Waiter): void {
    const waiters = this.#waiting.get(key);
    if (!waiters?.delete(waiter)) return;
    if (waiters.size === 0) this.#waiting.delete(key);
    this.#count -= 1;
    this.#bytes -= waiter.bytes;
  }
}
