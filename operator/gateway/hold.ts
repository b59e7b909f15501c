// The bounded queue of requests that wait for a pod. It knows keys, callers and sizes, not what is waited for.
import { AppError } from '../../common/errors.ts';
import { FairQueue, type Queued, type QueueLimits } from './fair-queue.ts';

export type HoldLimits = QueueLimits;

export interface HoldRequest<T> {
  /** What is waited for. What one waiter of a key finds missing is missing for all of them. */
  key: string;
  /** Waiters of one key leave in turns of their callers, and those of one caller in order of arrival. */
  caller: string;
  /** Memory that the request keeps while it waits. */
  bytes: number;
  /** Of all that wait for the key. */
  limits: HoldLimits;
  /** What the request needs, if it is there now. Takes it in the same step; throws to give up. */
  attempt: () => T | undefined;
}

interface Waiter extends Queued {
  /** True when it has what it needs, or has given up. */
  retry(): boolean;
  /** It must leave, so that another caller gets its share. */
  drop(): void;
}

/** How long a caller whose request found no room, or had to leave, should stay away. Seconds. */
const retryAfterSeconds = 2;

/**
 * `attempt` and the entry into the queue happen in one synchronous step, and `recheck` runs the same `attempt`:
 * whatever becomes available either is seen by the arriving request or finds it in the queue.
 */
export class Hold {
  readonly #limits: HoldLimits;
  readonly #waiting = new Map<string, FairQueue<Waiter>>();
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
    return this.#waiting.get(key)?.count ?? 0;
  }

  /** Who waits for the key, and with how many. */
  callers(key: string): { caller: string; requests: number }[] {
    return this.#waiting.get(key)?.callers ?? [];
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

  /** Lets the waiters of a key try again, in turns, until one finds nothing. Who finds nothing keeps its place. */
  recheck(key: string): void {
    const queue = this.#waiting.get(key);
    for (let next = queue?.next; next?.retry(); next = queue?.next);
  }

  #enter<T>(
    request: HoldRequest<T>,
    signal: AbortSignal,
    promise: { resolve: (value: T) => void; reject: (reason: unknown) => void },
  ): void {
    const { key, caller, bytes, attempt } = request;
    this.#makeRoom(request);
    const reject = (reason: unknown) => {
      this.#remove(key, waiter);
      promise.reject(reason);
    };
    const onAbort = () => reject(signal.reason);
    const isOver = () => {
      try {
        const value = attempt();
        if (value === undefined) return false;
        promise.resolve(value);
      } catch (err) {
        promise.reject(err);
      }
      return true;
    };
    const waiter: Waiter = {
      caller,
      bytes,
      retry: () => {
        if (!isOver()) return false;
        signal.removeEventListener('abort', onAbort);
        this.#remove(key, waiter, 'served');
        return true;
      },
      drop: () => {
        signal.removeEventListener('abort', onAbort);
        reject(full(`another caller has its share of the ${this.held(key)} that wait for ${key}`));
      },
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#add(key, waiter);
  }

  /** Within the limits of the key a caller with much makes room for one with less; those of all keys are hard. */
  #makeRoom({ key, caller, bytes, limits }: HoldRequest<unknown>): void {
    const queue = this.#waiting.get(key) ?? new FairQueue<Waiter>();
    const leaving = queue.makeRoom({ caller, bytes }, limits);
    if (!leaving) throw full(`${queue.count} requests wait for ${key} already`);
    const freed = leaving.reduce((sum, waiter) => sum + waiter.bytes, 0);
    const { maxRequests, maxBytes } = this.#limits;
    if (this.#count - leaving.length >= maxRequests || this.#bytes - freed + bytes > maxBytes) {
      throw full(`${this.#count} requests of ${this.#bytes} bytes wait already`);
    }
    for (const waiter of leaving) waiter.drop();
  }

  #add(key: string, waiter: Waiter): void {
    const queue = this.#waiting.get(key) ?? new FairQueue<Waiter>();
    this.#waiting.set(key, queue);
    queue.add(waiter);
    this.#count += 1;
    this.#bytes += waiter.bytes;
  }

  #remove(key: string, waiter: Waiter, how: 'served' | 'gone' = 'gone'): void {
    const queue = this.#waiting.get(key);
    if (!queue) return;
    const before = queue.count;
    if (how === 'served') queue.serve(waiter);
    else queue.remove(waiter);
    if (queue.count === before) return;
    if (queue.count === 0) this.#waiting.delete(key);
    this.#count -= 1;
    this.#bytes -= waiter.bytes;
  }
}

const full = (state: string) =>
  new AppError('QUEUE_FULL', `holding the request: ${state}`, { retryAfterSeconds });
