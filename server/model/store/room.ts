// Room in the cache folder: evicts least recently used entries until what is to be written fits the budget and the
// volume, and grants it. What is held or written is never evicted; who blocks it and gives no sign of life is waited out.
import { rename, statfs, truncate } from 'node:fs/promises';
import { AppError } from '../../../common/errors.ts';
import { isErrno } from '../disk.ts';
import * as inventory from './inventory.ts';
import { withLock } from './lock.ts';
import { isGone, type Pulse, Watch } from './pulse.ts';

export interface Volume {
  readonly totalBytes: number;
  /** For a process without privileges. */
  readonly freeBytes: number;
}

export interface RoomOptions {
  readonly dir: string;
  /** Bytes of all entries at most. Default: only the volume limits them. */
  readonly budgetBytes?: number | undefined;
  readonly volume?: (dir: string) => Promise<Volume>;
  /** Told of each entry that was evicted, by its bytes. */
  readonly onEvicted?: (bytes: number) => void;
}

export interface Need {
  /** Of the entry that is written. */
  readonly id: string;
  /** Of who writes it. */
  readonly mark: string;
  /** Of the entry when it is written. */
  readonly bytes: number;
  /** The volume turned out to be full, whatever it says. */
  readonly isFull?: boolean;
}

/** Kept free on the volume, for others and for our own small files: the less of the two. */
const keptFree = { part: 1 / 20, bytes: 2 ** 30 };

export class Room {
  readonly #options: RoomOptions;
  readonly #pulse: Pulse;

  constructor(options: RoomOptions, pulse: Pulse) {
    this.#options = options;
    this.#pulse = pulse;
  }

  /** Throws DISK_FULL when an entry of so many bytes does not fit even alone. */
  async assertCanFit(id: string, bytes: number): Promise<void> {
    const { totalBytes, keptBytes } = await this.#volume();
    const most = Math.min(this.#budgetBytes, totalBytes - keptBytes);
    if (bytes > most) throw await this.full({ id, bytes }, 'so it can never fit');
  }

  /** Evicts what is needed, then grants: others count `bytes` as used as long as the mark is there. Throws DISK_FULL. */
  async make(need: Need, signal: AbortSignal): Promise<void> {
    const { dir } = this.#options;
    const watch = new Watch(this.#pulse);
    const attempt = () => this.#tryToMake(need, watch);
    while (!(await withLock(inventory.roomLockOf(dir), this.#pulse, attempt, signal))) {
      await watch.wait(signal);
    }
  }

  /** False: not now, but some who are in the way may be dead. */
  async #tryToMake(need: Need, watch: Watch): Promise<boolean> {
    const stock = await inventory.takeStock(this.#options.dir, watch);
    const others = stock.filter(({ id }) => id !== need.id);
    const { freeBytes, keptBytes } = await this.#volume();
    const free = need.isFull ? Math.min(0, freeBytes - keptBytes) : freeBytes - keptBytes;
    const onVolume = stock.reduce((sum, { writtenBytes }) => sum + writtenBytes, free);
    const most = Math.min(this.#budgetBytes, onVolume) - need.bytes;
    const victims = oldestUntil(most, others, ({ isEvictable }) => isEvictable);
    if (victims) {
      for (const victim of victims) if (!(await this.#evict(victim))) return false;
      await truncate(need.mark, need.bytes); // takes no room: a hole
      return true;
    }
    if (!oldestUntil(most, others, ({ mayBecomeEvictable }) => mayBecomeEvictable)) {
      throw await this.full(need, 'and what is in use leaves too little');
    }
    return false;
  }

  /** Without a lock, for who finds no room to make one. False: there is nothing to evict. */
  async evictOldest(): Promise<boolean> {
    const stock = await inventory.takeStock(this.#options.dir, new Watch(this.#pulse));
    const oldest = stock.find(({ isEvictable, bytes }) => isEvictable && bytes > 0);
    return oldest !== undefined && this.#evict(oldest);
  }

  /** False: someone began to use it just now. Who does so says it first and looks for the entry then. */
  async #evict({ id, bytes }: inventory.Entry): Promise<boolean> {
    const { dir, onEvicted } = this.#options;
    const [entry, evicted] = [inventory.pathOf(dir, id), inventory.evictedPath(dir, id)];
    try {
      await rename(entry, evicted);
    } catch (err: unknown) {
      if (isGone(err)) return true;
      throw err;
    }
    const isInUse = await inventory.isInUse(dir, id);
    if (isInUse) {
      await putBack(evicted, entry);
      return false;
    }
    await inventory.remove(evicted);
    onEvicted?.(bytes);
    return true;
  }

  /** DISK_FULL with all numbers. */
  async full({ id, bytes }: Pick<Need, 'id' | 'bytes'>, why: string, cause?: unknown) {
    const { dir, budgetBytes } = this.#options;
    const { totalBytes, freeBytes, keptBytes } = await this.#volume();
    const message =
      `making room for ${inventory.pathOf(dir, id)}: it takes ${bytes} bytes, ` +
      `of the volume's ${totalBytes} are ${freeBytes} free and ${keptBytes} stay free, ` +
      `the budget is ${budgetBytes ?? 'the volume'}, ${why}: ` +
      'enlarge the cache volume or REFMODEL_CACHE_BYTES, or delete what else lies on the volume';
    return new AppError('DISK_FULL', message, { cause });
  }

  get #budgetBytes(): number {
    return this.#options.budgetBytes ?? Infinity;
  }

  async #volume(): Promise<Volume & { keptBytes: number }> {
    const { dir, volume = systemVolume } = this.#options;
    const { totalBytes, freeBytes } = await volume(dir);
    const keptBytes = Math.min(Math.floor(totalBytes * keptFree.part), keptFree.bytes);
    return { totalBytes, freeBytes, keptBytes };
  }
}

/** The least recently used ones that go until the rest take `bytes` at most. Undefined: not even if all go. */
function oldestUntil(
  bytes: number,
  entries: readonly inventory.Entry[],
  mayGo: (entry: inventory.Entry) => boolean,
): inventory.Entry[] | undefined {
  const victims: inventory.Entry[] = [];
  let left = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  for (const entry of entries) {
    if (left <= bytes) break;
    if (!mayGo(entry) || entry.bytes === 0) continue;
    victims.push(entry);
    left -= entry.bytes;
  }
  return left <= bytes ? victims : undefined;
}

async function systemVolume(dir: string): Promise<Volume> {
  const { blocks, bavail, bsize } = await statfs(dir);
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
}

/** Unless somebody began to write the entry anew. */
async function putBack(evicted: string, entry: string): Promise<void> {
  try {
    await rename(evicted, entry);
  } catch (err: unknown) {
    if (!isErrno(err, 'ENOTEMPTY', 'EEXIST')) throw err;
    await inventory.remove(evicted);
  }
}
