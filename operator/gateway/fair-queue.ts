// The waiters of one model, in turns of their callers. It knows sizes and names, not what is waited for.

export interface QueueLimits {
  maxRequests: number;
  maxBytes: number;
}

export interface Queued {
  readonly caller: string;
  /** Memory that it keeps while it waits. */
  readonly bytes: number;
}

/** What one caller has in the queue, in order of arrival. */
interface Line<T> {
  waiters: Set<T>;
  bytes: number;
}

/**
 * Callers take turns, whoever has waited longest for a turn first:
 *
 *     caller A ─▶ { waiter, waiter, waiter }   a Set: first in, first out, and an aborted one leaves in O(1)
 *     caller B ─▶ { waiter }                   a Map: a caller that was served goes to its end
 */
export class FairQueue<T extends Queued> {
  readonly #lines = new Map<string, Line<T>>();
  #count = 0;
  #bytes = 0;

  get count(): number {
    return this.#count;
  }

  /** Whose turn it is. */
  get next(): T | undefined {
    for (const { waiters } of this.#lines.values()) for (const waiter of waiters) return waiter;
    return undefined;
  }

  /** Who waits, and with how many; whose turn it is first. */
  get callers(): { caller: string; requests: number }[] {
    return [...this.#lines].map(([caller, { waiters }]) => ({ caller, requests: waiters.size }));
  }

  add(waiter: T): void {
    const line = this.#lines.get(waiter.caller) ?? { waiters: new Set(), bytes: 0 };
    this.#lines.set(waiter.caller, line);
    line.waiters.add(waiter);
    line.bytes += waiter.bytes;
    this.#count += 1;
    this.#bytes += waiter.bytes;
  }

  /** False when it is not in the queue any more. */
  remove(waiter: T): boolean {
    const line = this.#lines.get(waiter.caller);
    if (!line?.waiters.delete(waiter)) return false;
    line.bytes -= waiter.bytes;
    if (line.waiters.size === 0) this.#lines.delete(waiter.caller);
    this.#count -= 1;
    this.#bytes -= waiter.bytes;
    return true;
  }

  /** The waiter had its turn: takes it out, and lets its caller's others wait behind all other callers. */
  serve(waiter: T): void {
    const line = this.#lines.get(waiter.caller);
    if (!this.remove(waiter) || !line || line.waiters.size === 0) return;
    this.#lines.delete(waiter.caller);
    this.#lines.set(waiter.caller, line);
  }

  /**
   * Who must leave so that `newcomer` fits: the newest of the caller that takes most, one after another, as long as
   * that caller is left with no less than the newcomer's would have. Undefined: it is the newcomer that takes too much.
   */
  makeRoom(newcomer: Queued, limits: QueueLimits): T[] | undefined {
    const leaving: T[] = [];
    const after = { count: this.#count + 1, bytes: this.#bytes + newcomer.bytes };
    if (isWithin(after, limits)) return leaving;
    const wanted = share(this.#withNewcomer(newcomer), limits);
    const lines = [...this.#lines.values()].map(({ waiters, bytes }) => ({
      waiters: [...waiters],
      bytes,
    }));
    while (!isWithin(after, limits)) {
      const victim = takeFromLargest(lines, { limits, wanted });
      if (!victim) return undefined;
      after.count -= 1;
      after.bytes -= victim.bytes;
      leaving.push(victim);
    }
    return leaving;
  }

  #withNewcomer({ caller, bytes }: Queued): Size {
    const own = this.#lines.get(caller);
    return { count: (own?.waiters.size ?? 0) + 1, bytes: (own?.bytes ?? 0) + bytes };
  }
}

interface Size {
  count: number;
  bytes: number;
}

const isWithin = ({ count, bytes }: Size, { maxRequests, maxBytes }: QueueLimits): boolean =>
  count <= maxRequests && bytes <= maxBytes;

/** Of whichever limit it takes more (dominant resource fairness, Ghodsi et al. 2011). */
const share = ({ count, bytes }: Size, { maxRequests, maxBytes }: QueueLimits): number =>
  Math.max(count / maxRequests, bytes / maxBytes);

/** The newest of the line with the largest share, if what is left of that is no less than `wanted`. */
function takeFromLargest<T extends Queued>(
  lines: { waiters: T[]; bytes: number }[],
  { limits, wanted }: { limits: QueueLimits; wanted: number },
): T | undefined {
  const shareOf = ({ waiters, bytes }: { waiters: T[]; bytes: number }) =>
    share({ count: waiters.length, bytes }, limits);
  const [largest] = lines.sort((a, b) => shareOf(b) - shareOf(a));
  const victim = largest?.waiters.pop();
  if (!largest || !victim) return undefined;
  largest.bytes -= victim.bytes;
  return shareOf(largest) < wanted ? undefined : victim;
}
