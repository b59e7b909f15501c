// Half-downloaded files, and who works on them. Several processes may share the folder: each writes a file of its own
// and takes over only one that nobody writes any more, so that what a killed process left is used and nothing is
// written by two. Knows names and processes, not what is downloaded.
import { createHash, randomUUID } from 'node:crypto';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { isErrno } from '../disk.ts';

/** A writer is silent for less than this before it gives up: see the time limits of requests and of retries. */
const abandonedAfterMs = 15 * 60_000;
const suffix = '.incomplete';

/** `<etag>.incomplete` is nobody's; `<etag>.<host>-<pid>-<start>-<uuid>.incomplete` is that of a process. */
const ownedName = /\.([0-9a-f]{12})-(\d+)-(\d+)-[0-9a-f-]{36}\.incomplete$/;

/** The longest part of `etag` that nobody works on, or a new one: ours now. Absolute path. */
export async function claimPartial(folder: string, etag: string): Promise<string> {
  const own = path.join(folder, `${etag}.${await ourName()}-${randomUUID()}${suffix}`);
  for (const file of await freePartials(folder, etag)) {
    if (await take(file, own)) return own;
  }
  await (await open(own, 'wx', 0o644)).close();
  return own;
}

/** Leaves `own` to whoever goes on. */
export async function releasePartial(own: string, etag: string): Promise<void> {
  await take(own, path.join(path.dirname(own), `${etag}${suffix}`));
}

/** What nobody needs, now that the whole is there. */
export async function removePartials(folder: string, etag: string): Promise<void> {
  for (const file of await freePartials(folder, etag)) await rm(file, { force: true });
}

/** Bytes of all parts in the folder. */
export async function partialBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    if (name.endsWith(suffix)) bytes += (await look(path.join(folder, name)))?.size ?? 0;
  }
  return bytes;
}

/** Longest first. */
async function freePartials(folder: string, etag: string): Promise<string[]> {
  const free: { file: string; size: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${etag}.`) || !name.endsWith(suffix)) continue;
    const file = path.join(folder, name);
    const found = await look(file);
    if (found && (await isFree(name, found.idleMs))) free.push({ file, size: found.size });
  }
  return free.sort((a, b) => b.size - a.size).map(({ file }) => file);
}

async function isFree(name: string, idleMs: number): Promise<boolean> {
  const [, host, pid, start] = ownedName.exec(name) ?? [];
  if (!host || !pid || !start || idleMs > abandonedAfterMs) return true;
  return host === thisHost() && (await startOf(Number(pid))) !== start;
}

async function look(file: string): Promise<{ size: number; idleMs: number } | undefined> {
  try {
    const { size, mtimeMs } = await stat(file);
    return { size, idleMs: Date.now() - mtimeMs };
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT')) return undefined; // another took it
    throw err;
  }
}

/** False when another was faster. */
async function take(file: string, to: string): Promise<boolean> {
  try {
    await rename(file, to);
    return true;
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT')) return false;
    throw err;
  }
}

const ourName = async (): Promise<string> =>
  `${thisHost()}-${process.pid}-${await startOf(process.pid)}`;

const thisHost = (): string => createHash('sha256').update(hostname()).digest('hex').slice(0, 12);

/**
 * When a process of this host began, in ticks since boot: ids are used again, in a restarted container at once.
 * "0" where the system does not tell, undefined when there is no such process.
 */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    process.kill(pid, 0);
  } catch (err: unknown) {
    if (isErrno(err, 'ESRCH')) return undefined; // EPERM: it lives, as another user
  }
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]; // field 22 of proc(5); the 2nd may hold blanks
  } catch {
    return '0';
  }
}
