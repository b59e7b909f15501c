// Files in the cache folder: written under a temporary name, flushed, then renamed, so that a name never stands for
// half a file whoever else writes it, in this process or another.
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../../common/errors.ts';

/** A writer touches its file every moment; one this old was left by a process that died. */
const abandonedAfterMs = 3_600_000;

/** Creates or replaces `file` with what `write` puts there. Throws what asDiskError gives; leaves nothing behind then. */
export async function writeAtomically(
  file: string,
  write: (handle: FileHandle) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const folder = path.dirname(file);
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    await makeFolder(folder);
    await removeAbandoned(folder);
    await writeAndSync(temporary, write);
    signal.throwIfAborted();
    await rename(temporary, file);
    await syncFolder(folder);
  } catch (err: unknown) {
    await rm(temporary, { force: true }).catch(() => {}); // the first error is the one to tell
    throw asDiskError(err, file);
  }
}

/** With its parents. A recursive mkdir of Node.js 20 says ENOENT instead of ENOSPC on a full volume. */
export async function makeFolder(folder: string, hasParent = false): Promise<void> {
  try {
    await mkdir(folder);
  } catch (err: unknown) {
    if (isErrno(err, 'EEXIST')) return;
    if (hasParent || !isErrno(err, 'ENOENT')) throw err;
    await makeFolder(path.dirname(folder));
    await makeFolder(folder, true);
  }
}

async function writeAndSync(
  file: string,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const handle = await open(file, 'wx', 0o644);
  try {
    await write(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes what was renamed in `folder` outlive a crash of the machine. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    if (name.endsWith('.tmp') && (await age(file)) > abandonedAfterMs)
      await rm(file, { force: true });
  }
}

/** Milliseconds since the last write; 0 for a file that is gone, since its writer has just renamed it. */
async function age(file: string): Promise<number> {
  try {
    return Date.now() - (await stat(file)).mtimeMs;
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT')) return 0;
    throw err;
  }
}

/** Fills `bytes` from `position` on; gives how many there were. One read may give only a part. */
export async function readFully(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<number> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) return done;
    done += bytesRead;
  }
  return bytes.length;
}

/** Writes all of `bytes` at `position`. One write may take only a part. */
export async function writeFully(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const left = bytes.length - done;
    done += (await handle.write(bytes, done, left, position + done)).bytesWritten;
  }
}

/** `err`, as DISK_FULL when there is no room or no quota left, as CONFIGURATION_INVALID for a folder that is no cache. */
export function asDiskError(err: unknown, file: string): unknown {
  if (isErrno(err, 'ENOSPC', 'EDQUOT', 'EFBIG'))
    return new AppError('DISK_FULL', `writing ${file}: no room is left`, { cause: err });
  if (err instanceof Error && isErrno(err, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR')) {
    const message = `the cache folder must be one that can be written: ${err.message}`;
    return new AppError('CONFIGURATION_INVALID', message, { cause: err });
  }
  return err;
}

export const isErrno = (err: unknown, ...codes: string[]): boolean =>
  err instanceof Error && 'code' in err && codes.includes(String(err.code));
