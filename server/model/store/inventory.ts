// What lies in the cache folder: the entries, their sizes and last use, and who writes or holds them. Clears away what
// the dead left behind; evicts nothing.
//
//   converted/<key>.safetensors   an entry: a converted model
//   hub/models--<org>--<name>/    an entry: a checkpoint as Hugging Face lays it out
//   locks/<id>/<token>            the mark of who writes the entry <id>; its size is the room it was granted
//   holds/<id>~<token>            one who uses it; <id> is <kind>~<name>
//   <kind>/evicted~<token>        an entry on its way out
import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, readdir, rm, utimes } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../../../common/errors.ts';
import { clear, isAttempt, marksIn } from './lock.ts';
import { isGone, type Watch } from './pulse.ts';

/** Among entries that were last used at the same time, the first kind goes first. */
const kinds = ['hub', 'converted'] as const;
type Kind = (typeof kinds)[number];

const isEntry: Record<Kind, (name: string) => boolean> = {
  hub: (name) => name.startsWith('models--'),
  converted: (name) => name.endsWith('.safetensors'),
};

/** Neither digests nor names of Hugging Face have it. */
const separator = '~';
const evictedPrefix = `evicted${separator}`;

/** Of the entry that `file` is, or lies in. */
export function idOf(dir: string, file: string): string {
  const [kind, name] = path.relative(dir, path.resolve(file)).split(path.sep);
  const known = kinds.find((each) => each === kind);
  if (known && name && isEntry[known](name)) return `${known}${separator}${name}`;
  throw new AppError('INTERNAL', `${file} is no part of the cache folder ${dir}`);
}

export const pathOf = (dir: string, id: string): string => path.join(dir, ...id.split(separator));
/** Where an entry goes to be deleted: what is half deleted must not pass for an entry. */
export const evictedPath = (dir: string, id: string): string =>
  path.join(path.dirname(pathOf(dir, id)), `${evictedPrefix}${randomUUID()}`);
export const lockOf = (dir: string, id: string): string => path.join(dir, 'locks', id);
/** Of those who look for room. No id is like it. */
export const roomLockOf = (dir: string): string => path.join(dir, 'locks', 'room');
export const newHold = (dir: string, id: string): string =>
  path.join(dir, 'holds', `${id}${separator}${randomUUID()}`);

export interface Entry {
  readonly id: string;
  /** What it takes; while it is written, what was granted. */
  readonly bytes: number;
  /** What it takes on the volume by now. */
  readonly writtenBytes: number;
  readonly lastUsedMs: number;
  /** Nobody writes or holds it. */
  readonly isEvictable: boolean;
  /** Nobody does of whom it is known that he lives. */
  readonly mayBecomeEvictable: boolean;
}

/** All entries, least recently used first. */
export async function takeStock(dir: string, watch: Watch): Promise<Entry[]> {
  const users = await findUsers(dir, watch);
  const ids = new Set(users.keys());
  for (const kind of kinds) {
    for (const name of await namesIn(path.join(dir, kind))) {
      if (isEntry[kind](name)) ids.add(`${kind}${separator}${name}`);
      else if (name.startsWith(evictedPrefix)) await remove(path.join(dir, kind, name));
    }
  }
  const entries = await Promise.all([...ids].map((id) => describe(dir, id, users.get(id) ?? [])));
  return entries.sort((a, b) => a.lastUsedMs - b.lastUsedMs || rank(a) - rank(b));
}

/** What all entries take now, and nothing is cleared away for it. Zero where there is no such folder. */
export async function bytesIn(dir: string): Promise<number> {
  const perKind = kinds.map(async (kind) => {
    const names = (await namesIn(path.join(dir, kind))).filter(isEntry[kind]);
    return Promise.all(names.map((name) => measure(path.join(dir, kind, name))));
  });
  const entries = (await Promise.all(perKind)).flat();
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}

const rank = ({ id }: Entry): number => kinds.findIndex((kind) => id.startsWith(kind));

/** Whether anyone holds or writes an entry, dead or alive. */
export async function isInUse(dir: string, id: string): Promise<boolean> {
  const holds = await namesIn(path.join(dir, 'holds'));
  if (holds.some((name) => name.startsWith(`${id}${separator}`))) return true;
  return (await marksIn(lockOf(dir, id))).length > 0;
}

export const remove = (file: string): Promise<void> => rm(file, { recursive: true, force: true });

interface User {
  isAlive: boolean;
  grantedBytes: number;
  writtenBytes: number;
}

async function findUsers(dir: string, watch: Watch): Promise<Map<string, User[]>> {
  const users = new Map<string, User[]>();
  const add = async (id: string, file: string, bury: () => Promise<void>) => {
    const sign = await watch.look(file);
    if (sign === 'Dead') return bury();
    const found = await statOf(file);
    const sizes = { grantedBytes: found?.size ?? 0, writtenBytes: (found?.blocks ?? 0) * 512 };
    const user = { isAlive: sign === 'Alive', ...sizes };
    users.set(id, [...(users.get(id) ?? []), user]);
  };
  for (const name of await namesIn(path.join(dir, 'holds'))) {
    const file = path.join(dir, 'holds', name);
    const id = name.slice(0, name.lastIndexOf(separator));
    await add(id, file, () => buryHold(file, pathOf(dir, id)));
  }
  for (const name of await namesIn(path.join(dir, 'locks'))) {
    const folder = lockOf(dir, name);
    if (isAttempt(name) && (await watch.look(folder)) === 'Dead') await remove(folder);
    if (!name.includes(separator)) continue;
    for (const mark of await marksIn(folder)) await add(name, mark, () => clear(folder, mark));
  }
  return users;
}

/** Its last sign was the last use of the entry. */
async function buryHold(hold: string, entry: string): Promise<void> {
  const [held, used] = [await statOf(hold), await statOf(entry)];
  if (held && used && held.mtimeMs > used.mtimeMs) {
    await unlessGone(utimes(entry, held.atime, held.mtime), undefined);
  }
  await remove(hold);
}

async function describe(dir: string, id: string, users: readonly User[]): Promise<Entry> {
  const { bytes, lastUsedMs } = await measure(pathOf(dir, id));
  const granted = users.reduce((sum, user) => sum + user.grantedBytes, 0);
  const written = users.reduce((sum, user) => sum + user.writtenBytes, 0);
  return {
    id,
    bytes: Math.max(bytes, granted),
    writtenBytes: bytes + written,
    lastUsedMs,
    isEvictable: users.length === 0,
    mayBecomeEvictable: users.every(({ isAlive }) => !isAlive),
  };
}

/** Links count as nothing and a file of several names once: a checkpoint's snapshots are links to its blobs. */
async function measure(entry: string): Promise<{ bytes: number; lastUsedMs: number }> {
  const found = await statOf(entry);
  if (!found) return { bytes: 0, lastUsedMs: 0 };
  const files = found.isDirectory() ? await filesUnder(entry) : [found];
  const sizes = new Map(files.map(({ dev, ino, size }) => [`${dev} ${ino}`, size]));
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return { bytes, lastUsedMs: found.mtimeMs };
}

async function filesUnder(folder: string): Promise<Stats[]> {
  const children = await unlessGone(readdir(folder, { recursive: true, withFileTypes: true }), []);
  const files = children.filter((child) => child.isFile());
  const found = await Promise.all(files.map((f) => statOf(path.join(f.parentPath, f.name))));
  return found.filter((stats) => stats !== undefined);
}

const namesIn = (folder: string): Promise<string[]> => unlessGone(readdir(folder), []);

const statOf = (file: string): Promise<Stats | undefined> => unlessGone(lstat(file), undefined);

async function unlessGone<T>(found: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await found;
  } catch (err: unknown) {
    if (isGone(err)) return otherwise;
    throw err;
  }
}
