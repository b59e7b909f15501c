// Signs of life on a volume that several machines share: the owner of a file sets its time again and again (heart.ts),
// others look here whether the time changes. Their clocks may differ and jump, so a time is only ever compared with
// itself, and how long it stood still is counted in what the watcher itself waited.
import { open, utimes } from 'node:fs/promises';
import { backoffMs } from '../../../common/backoff.ts';
import type { Clock } from '../../../common/clock.ts';
import { isErrno } from '../disk.ts';

export interface Pulse {
  readonly clock: Clock;
  /** An owner whose file stood still for so long is dead. Milliseconds. */
  readonly staleMs: number;
  /** Shows that the owner of `file` lives, until `signal` fires or the file is gone. */
  readonly beat: (file: string, signal: AbortSignal) => Promise<void>;
}

export async function touch(file: string, clock: Clock): Promise<void> {
  const now = new Date(clock.now());
  await utimes(file, now, now);
}

/** ESTALE is how NFS says that another machine removed an open file. */
export const isGone = (err: unknown): boolean => isErrno(err, 'ENOENT', 'ESTALE');

/** Unknown: neither a sign was seen yet, nor has enough time gone by without one. */
export type Sign = 'Unknown' | 'Alive' | 'Dead';

interface Seen {
  time: string;
  /** What had been waited when this time was first seen. */
  sinceMs: number;
  hasChanged: boolean;
}

/** Looks at files, and waits between the looks. */
export class Watch {
  readonly #pulse: Pulse;
  readonly #seen = new Map<string, Seen>();
  #waits = 0;
  #waitedMs = 0;

  constructor(pulse: Pulse) {
    this.#pulse = pulse;
  }

  /** A little, with jitter, and longer each time up to a bound. */
  async wait(signal: AbortSignal): Promise<void> {
    const { clock, staleMs } = this.#pulse;
    this.#waits += 1;
    const ms = backoffMs(this.#waits, { firstMs: staleMs / 500, maxMs: staleMs / 30 });
    await clock.delay(ms, signal);
    this.#waitedMs += ms;
  }

  /** So long that those who give no sign meanwhile are dead. */
  async waitForSigns(signal: AbortSignal): Promise<void> {
    const end = this.#waitedMs + this.#pulse.staleMs;
    while (this.#waitedMs < end) await this.wait(signal);
  }

  /** Whether the owner of `file` lives, by all looks at it so far. A file that is gone has a dead owner. */
  async look(file: string): Promise<Sign> {
    const time = await timeOf(file);
    if (time === undefined) return 'Dead';
    const seen = this.#seen.get(file);
    if (seen?.time !== time) {
      const hasChanged = seen !== undefined;
      this.#seen.set(file, { time, sinceMs: this.#waitedMs, hasChanged });
      return hasChanged ? 'Alive' : 'Unknown';
    }
    if (this.#waitedMs - seen.sinceMs >= this.#pulse.staleMs) return 'Dead';
    return seen.hasChanged ? 'Alive' : 'Unknown';
  }
}

/** By what the server of a network file system says now. */
export const isThere = async (file: string): Promise<boolean> => (await timeOf(file)) !== undefined;

/** Opened, not just asked for: only opening makes NFS ask its server rather than its attribute cache. */
async function timeOf(file: string): Promise<string | undefined> {
  try {
    const handle = await open(file);
    try {
      const { ino, mtimeNs } = await handle.stat({ bigint: true });
      return `${ino} ${mtimeNs}`;
    } finally {
      await handle.close();
    }
  } catch (err: unknown) {
    if (isGone(err)) return undefined;
    throw err;
  }
}
