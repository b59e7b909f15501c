// The identity of a checkpoint: SHA-256 over the content of the files that decide its values. Every byte is hashed once
// per file version: the result is kept in the cache folder under path, size, inode, and times of change. The time of
// change (ctime) cannot be set back by a user, so a file that was swapped for another of its size is noticed.
import { createHash } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { AppError } from '../../common/errors.ts';
import { asDiskError, isErrno, writeAtomically } from './disk.ts';

const chunkBytes = 4 << 20;

const memory = z.object({ version: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });

/**
 * "sha256:<hex>" of `files` (name → absolute path): what `sha256sum config.json model*.safetensors | sha256sum`
 * prints in the folder, with the names sorted.
 */
export async function digestFiles(
  files: ReadonlyMap<string, string>,
  cacheDir: string,
  signal: AbortSignal,
): Promise<string> {
  const lines: string[] = [];
  for (const [name, file] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    lines.push(`${await digestFile(file, cacheDir, signal)}  ${name}\n`);
  }
  return `sha256:${createHash('sha256').update(lines.join('')).digest('hex')}`;
}

/** Hex SHA-256 of the content of `file`. */
async function digestFile(file: string, cacheDir: string, signal: AbortSignal): Promise<string> {
  const version = await versionOf(file);
  const name = createHash('sha256').update(file).digest('hex');
  const remembered = path.join(cacheDir, 'digests', `${name}.json`);
  const known = await recall(remembered);
  if (known?.version === version) return known.sha256;
  const sha256 = await hashContent(file, signal);
  if ((await versionOf(file)) !== version) {
    throw new AppError('WEIGHTS_CORRUPT', `reading ${file}: it changed while it was read`);
  }
  const text = JSON.stringify({ version, sha256 });
  await writeAtomically(remembered, (handle) => handle.writeFile(text), signal);
  return sha256;
}

async function versionOf(file: string): Promise<string> {
  const { size, ino, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
  return [size, ino, mtimeNs, ctimeNs].join(' ');
}

async function recall(file: string): Promise<z.output<typeof memory> | undefined> {
  try {
    return memory.safeParse(JSON.parse(await readFile(file, 'utf8'))).data;
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT') || err instanceof SyntaxError) return undefined;
    throw asDiskError(err, file);
  }
}

async function hashContent(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const handle = await open(file);
  try {
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, chunkBytes);
      signal.throwIfAborted();
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(chunk.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}
