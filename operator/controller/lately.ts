// The largest of the values of a key within a window of time. It forgets what is older, and keeps few values.

interface Seen {
  value: number;
  at: number;
}

export class Lately {
  /** Per key, values that no later one exceeds, oldest first: the first is the largest. */
  readonly #seen = new Map<string, Seen[]>();
  readonly #since: number;

  /** `now`: nothing is known of the time before. Epoch milliseconds. */
  constructor(now: number) {
    this.#since = now;
  }

  /** Takes the value in; the largest of the last `windowMs`, or Infinity while not all of that was seen. */
  most(key: string, value: number, { now, windowMs }: { now: number; windowMs: number }): number {
    const kept = (this.#seen.get(key) ?? []).filter(
      (seen) => seen.value > value && now - seen.at < windowMs,
    );
    kept.push({ value, at: now });
    this.#seen.set(key, kept);
    if (now - this.#since < windowMs) return Number.POSITIVE_INFINITY;
    return kept[0]?.value ?? value;
  }

  /** Keys that are not asked for any more take no memory. */
  retain(keys: Pick<ReadonlySet<string>, 'has'>): void {
    for (const key of this.#seen.keys()) if (!keys.has(key)) this.#seen.delete(key);
  }
}
