// Remembers what was found out, for a short time and in a bounded space. Who asks for the same at the same time shares
// one answer; a failure is told to them and not remembered.
import type { Clock } from '../../../common/clock.ts';

export interface BriefCacheOptions {
  clock: Pick<Clock, 'now'>;
  maxEntries: number;
  /** Milliseconds. */
  keepMs: number;
}

interface Entry<T> {
  value: Promise<T>;
  expiresAt: number;
}

export class BriefCache<T> {
  readonly #options: BriefCacheOptions;
  /** Least recently asked for first. */
  readonly #entries = new Map<string, Entry<T>>();

  constructor(options: BriefCacheOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What `find` says, or said within the time. */
  get(key: string, find: () => Promise<T>): Promise<T> {
    const { clock, keepMs } = this.#options;
    const known = this.#entries.get(key);
    this.#entries.delete(key);
    const entry =
      known && known.expiresAt > clock.now()
        ? known
        : { value: find(), expiresAt: clock.now() + keepMs };
    this.#entries.set(key, entry);
    if (entry !== known) this.#forgetFailure(key, entry);
    this.#evict();
    return entry.value;
  }

  #forgetFailure(key: string, entry: Entry<T>): void {
    entry.value.catch(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    });
  }

  #evict(): void {
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined && this.#entries.size > this.#options.maxEntries) {
      this.#entries.delete(oldest);
    }
  }
}
