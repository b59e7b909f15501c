// The identity of a checkpoint: SHA-256 over the content of the files that decide its values. Every byte is hashed once
// per file version: the result is kept in the cache folder under path, size, inode, and times of change. The time of
// change (ctime) cannot be set back by a user, so a file that was swapped for another of its size is noticed.
import { createHash } from 'node:crypto';
import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { asDiskError, isErrno, writeAtomically } from '../disk.ts';

const chunkBytes = 4 << 20;
/** Files whose digest is kept: some dozens of the largest checkpoints. */
const mostRemembered = 4096;

const memory = z.object({ version: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });

export interface DigestOptions {
  readonly cacheDir: string;
  /** Told how many bytes more were hashed. */
  readonly onBytes: (bytes: number) => void;
}

/**
 * "sha256:<hex>" of `files` (name → absolute path): what `sha256sum config.json model*.safetensors | sha256sum`
 * prints in the folder, with the names sorted.
 */
export async function digestFiles(
  files: ReadonlyMap<string, string>,
  options: DigestOptions,
  signal: AbortSignal,
): Promise<string> {
  const hashes = new Map<string, string>();
  for (const [name, file] of files) hashes.set(name, await digestFile(file, options, signal));
  return digestOf(hashes);
}

/** The same of files whose SHA-256 is known: name → hex. */
export function digestOf(hashes: ReadonlyMap<string, string>): string {
  const sorted = [...hashes].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = sorted.map(([name, sha256]) => `${sha256}  ${name}\n`);
  return `sha256:${createHash('sha256').update(lines.join('')).digest('hex')}`;
}

/** Hex SHA-256 of the content of `file`. */
async function digestFile(
  file: string,
  { cacheDir, onBytes }: DigestOptions,
  signal: AbortSignal,
): Promise<string> {
  const version = await versionOf(file);
  const name = createHash('sha256').update(file).digest('hex');
  const remembered = path.join(cacheDir, 'digests', `${name}.json`);
  const known = await recall(remembered);
  if (known?.version === version) return known.sha256;
  const sha256 = await hashContent(file, onBytes, signal);
  if ((await versionOf(file)) !== version) {
    throw new AppError('WEIGHTS_CORRUPT', `reading ${file}: it changed while it was read`);
  }
  const text = JSON.stringify({ version, sha256 });
  await writeAtomically(remembered, (handle) => handle.writeFile(text), signal);
  await forgetOldest(path.dirname(remembered));
  return sha256;
}

/** Past the bound a quarter goes, so that this is seldom. What is forgotten is hashed again when it is needed. */
async function forgetOldest(folder: string): Promise<void> {
  const names = await readdir(folder);
  if (names.length <= mostRemembered) return;
  const ages = new Map<string, number>();
  for (const name of names) ages.set(name, await writtenAt(path.join(folder, name)));
  const oldest = names.sort((a, b) => (ages.get(a) ?? 0) - (ages.get(b) ?? 0));
  const surplus = names.length - Math.floor(mostRemembered * 0.75);
  for (const name of oldest.slice(0, surplus)) await rm(path.join(folder, name), { force: true });
}

async function writtenAt(file: string): Promise<number> {
  try {
    return (await stat(file)).mtimeMs;
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT')) return 0; // another process forgot it
    throw err;
  }
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

async function hashContent(
  file: string,
  onBytes: DigestOptions['onBytes'],
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const handle = await open(file);
  try {
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, chunkBytes);
      signal.throwIfAborted();
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(chunk.subarray(0, bytesRead));
      onBytes(bytesRead);
    }
  } finally {
    await handle.close();
  }
}
