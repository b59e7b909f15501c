// The cache folder: converted models and downloaded checkpoints under one budget. Several processes and machines share
// it, each entry is written by one of them at a time, and any of them may be killed at any moment. docs/cache.md says
// what lies where. Knows neither models nor formats.
import { type FileHandle, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../../common/clock.ts';
import { AppError } from '../../../common/errors.ts';
import { asDiskError, isErrno, makeFolder, syncFolder } from '../disk.ts';
import { Heart } from './heart.ts';
import { idOf, lockOf, newHold, pathOf, takeStock } from './inventory.ts';
import { type Held, withLock } from './lock.ts';
import { isGone, type Pulse, touch, Watch } from './pulse.ts';
import { type Need, Room, type RoomOptions } from './room.ts';

export interface StoreOptions extends RoomOptions {
  readonly clock: Clock;
  /** An owner that gave no sign of life for so long is dead. Milliseconds. */
  readonly staleMs?: number;
  /** Default: on a thread of its own. */
  readonly beat?: Pulse['beat'];
}

/** Five lost signs. So long at most does one that was killed hold up others. */
const defaultStaleMs = 15_000;

export interface FileRequest {
  /** Of the file, exactly. */
  readonly bytes: number;
  readonly isWhole: (file: string) => Promise<boolean>;
  /** Writes the file from its start; a second time when the volume was full and room was made. */
  readonly make: (file: FileHandle, signal: AbortSignal) => Promise<void>;
}

export interface FolderRequest {
  /** Of the folder when it is complete, at most. */
  readonly bytes: number;
  /** Goes on where an earlier one ended; a second time when the volume was full and room was made. */
  readonly write: (signal: AbortSignal) => Promise<void>;
}

export class Store {
  readonly #dir: string;
  readonly #pulse: Pulse;
  readonly #room: Room;

  constructor({ clock, staleMs = defaultStaleMs, beat, ...options }: StoreOptions) {
    const heart = new Heart(staleMs);
    this.#dir = path.resolve(options.dir);
    this.#pulse = { clock, staleMs, beat: beat ?? ((file, signal) => heart.beat(file, signal)) };
    this.#room = new Room({ ...options, dir: this.#dir }, this.#pulse);
  }

  /** Where the converted model `key` lies, or will. */
  fileOf(key: string): string {
    return path.join(this.#dir, 'converted', `${key}.safetensors`);
  }

  /**
   * The converted model `key`, made when it is not there: by one process at a time, while the others wait and then
   * find it. To be held before, or it may be evicted at once. Throws DISK_FULL and what `make` throws.
   */
  async obtain(
    key: string,
    request: FileRequest,
    signal: AbortSignal,
  ): Promise<{ file: string; isNew: boolean }> {
    const file = this.fileOf(key);
    const make = (held: Held) => this.#make(file, request, held);
    try {
      if (!(await request.isWhole(file))) {
        return { file, isNew: await this.#write(file, request.bytes, make, signal) };
      }
      await this.#use(file);
      return { file, isNew: false };
    } catch (err: unknown) {
      throw asDiskError(err, file);
    }
  }

  /** Writes into the folder of a checkpoint, with room for all of it, while no other process does. Throws DISK_FULL. */
  async fill(folder: string, { bytes, write }: FolderRequest, signal: AbortSignal): Promise<void> {
    const id = idOf(this.#dir, folder);
    const work = async ({ mark, signal }: Held) => {
      await this.#withRoom({ id, mark, bytes }, () => write(signal), signal);
      await this.#use(folder);
    };
    try {
      await this.#write(folder, bytes, work, signal);
    } catch (err: unknown) {
      throw asDiskError(err, folder);
    }
  }

  /**
   * Keeps the entry that `file` is, or lies in, from eviction until disposed, whether it is there yet or not; it counts
   * as used until then. After a kill that ends by itself.
   */
  async hold(file: string): Promise<AsyncDisposable> {
    const id = idOf(this.#dir, file);
    const entry = pathOf(this.#dir, id);
    const hold = newHold(this.#dir, id);
    const stop = new AbortController();
    try {
      await makeFolder(path.dirname(hold));
      await writeFile(hold, '');
      await this.#use(entry);
    } catch (err: unknown) {
      throw asDiskError(err, hold);
    }
    const beating = this.#keep(hold, stop.signal);
    return {
      [Symbol.asyncDispose]: async () => {
        stop.abort();
        await beating;
        await this.#use(entry);
        await rm(hold, { force: true });
      },
    };
  }

  /** Removes what processes that died left behind. Takes as long as it takes to tell that they did. */
  async tidy(signal: AbortSignal): Promise<void> {
    const watch = new Watch(this.#pulse);
    await takeStock(this.#dir, watch);
    await watch.waitForSigns(signal);
    await takeStock(this.#dir, watch);
  }

  /** `work` under the lock of the entry that `file` is. */
  async #write<T>(
    file: string,
    bytes: number,
    work: (held: Held) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const id = idOf(this.#dir, file);
    await makeFolder(path.dirname(file));
    await this.#room.assertCanFit(id, bytes);
    const locked = () => withLock(lockOf(this.#dir, id), this.#pulse, work, signal);
    try {
      return await locked();
    } catch (err: unknown) {
      if (!isErrno(err, ...noRoom)) throw err;
      // The volume had not even room for the folder of a lock.
      if (await this.#room.evictOldest()) return locked();
      throw await this.#room.full({ id, bytes }, 'and there is nothing to evict', err);
    }
  }

  /** False: who was waited for has made it. */
  async #make(
    file: string,
    { bytes, isWhole, make }: FileRequest,
    { mark, signal }: Held,
  ): Promise<boolean> {
    await readdir(path.dirname(file)); // makes NFS forget that the file was not there
    if (await isWhole(file)) {
      await this.#use(file);
      return false;
    }
    await rm(file, { force: true });
    const write = () => this.#writeMark(mark, make, signal);
    await this.#withRoom({ id: idOf(this.#dir, file), mark, bytes }, write, signal);
    await rename(mark, file);
    await syncFolder(path.dirname(file));
    return true;
  }

  async #writeMark(mark: string, make: FileRequest['make'], signal: AbortSignal): Promise<void> {
    const handle = await open(mark, 'r+');
    try {
      await make(handle, signal);
      const now = new Date(this.#pulse.clock.now());
      await handle.utimes(now, now);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async #withRoom(need: Need, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    await this.#room.make(need, signal);
    try {
      await work();
    } catch (err: unknown) {
      if (!isNoRoom(err)) throw err;
      await this.#room.make({ ...need, isFull: true }, signal);
      await work().catch(async (again: unknown) => {
        if (!isNoRoom(again)) throw again;
        throw await this.#room.full(need, 'and others took what was evicted for it', again);
      });
    }
  }

  /** Others clear a hold away when they miss its signs, as they do after a long pause: then it is made anew. */
  async #keep(hold: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#pulse.beat(hold, signal);
      if (!signal.aborted) await writeFile(hold, '').catch(() => {}); // tried again at the next sign
    }
  }

  /** The time of an entry is that of its last use, by the clock of who used it. */
  async #use(entry: string): Promise<void> {
    try {
      await touch(entry, this.#pulse.clock);
    } catch (err: unknown) {
      if (!isGone(err)) throw err;
    }
  }
}

const noRoom = ['ENOSPC', 'EDQUOT'] as const;
const isNoRoom = (err: unknown): boolean =>
  isErrno(err, ...noRoom) || (err instanceof AppError && err.code === 'DISK_FULL');
