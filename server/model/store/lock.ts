// A lock between processes and machines that share a volume. It is a folder: free when it is missing or empty, held by
// whoever has a file of a unique name in it, the mark. A folder with the mark is made aside and renamed into place,
// which the file system refuses over a folder that is not empty: of many only one wins. A dead owner is ended by
// removing its mark by name, so nobody can remove that of another by mistake. docs/adr/0006-disk-store.md says more.
import { randomUUID } from 'node:crypto';
import { readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { linkSignals } from '../../../common/abort.ts';
import { isErrno, makeFolder } from '../disk.ts';
import { isGone, isThere, type Pulse, Watch } from './pulse.ts';

/** What the owner of a lock has. */
export interface Held {
  /** A file of the owner's own: it may write it, and ends the lock when it moves it away. */
  readonly mark: string;
  /** Fires also when others took the owner for dead. */
  readonly signal: AbortSignal;
}

/**
 * `work` under the lock `folder`, waiting for it. Owners that died are ended, and what they had written into their
 * mark with them. An owner whose lock was taken over, because it could not show signs of life, starts again.
 */
export async function withLock<T>(
  folder: string,
  pulse: Pulse,
  work: (held: Held) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    const mark = await take(folder, pulse, signal);
    using link = linkSignals(signal);
    const beating = pulse.beat(mark, link.signal).then(() => link.abort(takenOver));
    try {
      return await work({ mark, signal: link.signal });
    } catch (err: unknown) {
      signal.throwIfAborted();
      if (await isThere(mark)) throw err;
    } finally {
      link.abort(over);
      await beating;
      await clear(folder, mark);
    }
  }
}

const takenOver = new Error('the lock was taken over');
const over = new Error('the work under the lock is over');

/** Ends an owner: removes its mark, and the folder if nobody has taken it meanwhile. */
export async function clear(folder: string, mark: string): Promise<void> {
  await rm(mark, { force: true });
  try {
    await rmdir(folder);
  } catch (err: unknown) {
    if (!isTaken(err) && !isGone(err)) throw err;
  }
}

/** The marks in a lock's folder. NFS keeps a file that was removed while it was open under a name of its own. */
export async function marksIn(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names.filter((name) => !name.startsWith('.')).map((name) => path.join(folder, name));
  } catch (err: unknown) {
    if (isGone(err)) return [];
    throw err;
  }
}

const attemptPrefix = 'attempt-';
/** Whether this child of the folder of locks was left by one who died as he took a lock; or is of one just now. */
export const isAttempt = (name: string): boolean => name.startsWith(attemptPrefix);

async function take(folder: string, pulse: Pulse, signal: AbortSignal): Promise<string> {
  const watch = new Watch(pulse);
  for (;;) {
    signal.throwIfAborted();
    const owners = await marksIn(folder);
    const mark = owners.length === 0 ? await tryTake(folder) : undefined;
    if (mark) return mark;
    for (const owner of owners) {
      if ((await watch.look(owner)) === 'Dead') await clear(folder, owner);
    }
    await watch.wait(signal);
  }
}

async function tryTake(folder: string): Promise<string | undefined> {
  const token = randomUUID();
  const aside = path.join(path.dirname(folder), `${attemptPrefix}${token}`);
  await makeFolder(aside);
  try {
    await writeFile(path.join(aside, token), '');
    await rename(aside, folder);
    return path.join(folder, token);
  } catch (err: unknown) {
    await rm(aside, { recursive: true, force: true });
    if (isTaken(err) || isGone(err)) return undefined;
    throw err;
  }
}

const isTaken = (err: unknown): boolean => isErrno(err, 'ENOTEMPTY', 'EEXIST');
