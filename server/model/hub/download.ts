// One file from the hub into the cache, under the name of its content: resumed where it was cut, checked before it
// gets that name. It does not know which files a model has.
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import type { Clock } from '../../../common/clock.ts';
import { AppError } from '../../../common/errors.ts';
import { asDiskError, isErrno, readFully, syncFolder, writeFully } from '../disk.ts';
import { type HubFile, sha256Of } from './listing.ts';
import { claimPartial, releasePartial, removePartials } from './partial.ts';
import { connectionLost, header, notTheHub } from './refusal.ts';
import type { HubClient } from './request.ts';
import { Retries } from './retries.ts';

const chunkBytes = 4 << 20;

export interface Download {
  readonly client: HubClient;
  readonly repo: string;
  readonly commit: string;
  readonly file: HubFile;
  /** Folder of contents. */
  readonly blobs: string;
  /** Told how many bytes more are there; less than 0 when some were thrown away. */
  readonly onBytes: (bytes: number) => void;
  readonly clock: Clock;
}

/** Whether the content is there already. */
export async function hasBlob(blobs: string, file: HubFile): Promise<boolean> {
  const blob = path.join(blobs, file.etag);
  try {
    return (await stat(blob)).size === file.size;
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT')) return false;
    throw asDiskError(err, blob);
  }
}

/** Throws what HubClient.get does, DOWNLOAD_CORRUPT or DISK_FULL. What was transferred until then is used next time. */
export async function downloadBlob(download: Download, signal: AbortSignal): Promise<void> {
  const { blobs, file, onBytes } = download;
  if (await hasBlob(blobs, file)) {
    onBytes(file.size);
    return;
  }
  const { etag } = file;
  const own = await claimPartial(blobs, etag).catch((err: unknown) => fail(err, blobs));
  try {
    const handle = await open(own, 'r+');
    try {
      await fill(handle, download, signal);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await publish(own, path.join(blobs, etag));
  } catch (err: unknown) {
    await releasePartial(own, etag);
    fail(err, own);
  }
  await removePartials(blobs, etag);
}

function fail(err: unknown, file: string): never {
  throw asDiskError(err, file);
}

async function publish(own: string, blob: string): Promise<void> {
  await rename(own, blob);
  await syncFolder(path.dirname(blob));
}

/** How far a file has come: the hash is of its first `size` bytes. */
interface Part {
  readonly handle: FileHandle;
  size: number;
  hash: Hash;
}

async function fill(handle: FileHandle, download: Download, signal: AbortSignal): Promise<void> {
  const part: Part = { handle, size: 0, hash: newHash(download.file) };
  await adopt(part, download, signal);
  for (let isAgain = false; ; isAgain = true) {
    await transfer(part, download, signal);
    if (part.hash.digest('hex') === download.file.etag) return;
    await restart(part, download);
    if (isAgain) throw corrupt(download, 'its checksum is not the one that the hub tells');
  }
}

/** Git's name of a content is the SHA-1 of "blob <size>", a zero byte and the content (git-hash-object). */
const newHash = (file: HubFile): Hash =>
  sha256Of(file) === undefined
    ? createHash('sha1').update(`blob ${file.size}\0`)
    : createHash('sha256');

/** Reads what an earlier attempt left. */
async function adopt(part: Part, download: Download, signal: AbortSignal): Promise<void> {
  const { size } = await part.handle.stat();
  if (size > download.file.size) await restart(part, download);
  else if (size > 0) await rehash(part, download, signal);
}

async function rehash(part: Part, { onBytes }: Download, signal: AbortSignal): Promise<void> {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (;;) {
    signal.throwIfAborted();
    const found = await readFully(part.handle, chunk, part.size);
    if (found === 0) return;
    part.hash.update(chunk.subarray(0, found));
    part.size += found;
    onBytes(found);
  }
}

async function restart(part: Part, { file, onBytes }: Download): Promise<void> {
  await part.handle.truncate(0);
  onBytes(-part.size);
  part.size = 0;
  part.hash = newHash(file);
}

/** Until the file has all its bytes. */
async function transfer(part: Part, download: Download, signal: AbortSignal): Promise<void> {
  const retries = new Retries(download.clock);
  while (part.size < download.file.size) {
    const before = part.size;
    try {
      const now = new Date();
      await part.handle.utimes(now, now); // shows that it is worked on
      await receive(part, download, signal);
    } catch (err: unknown) {
      if (part.size > before) retries.progressed();
      await retries.after(err, signal);
    }
  }
}

/**
 * One request. Without If-Range: the storage has an ETag of its own, that does not stand for the content, and the
 * checksum tells whether the pieces belong together.
 */
async function receive(part: Part, download: Download, signal: AbortSignal): Promise<void> {
  const { client, repo, commit, file } = download;
  const what = `${file.name} of ${repo}`;
  const headers: Record<string, string> = part.size > 0 ? { range: `bytes=${part.size}-` } : {};
  const url = `/${repo}/resolve/${commit}/${encodeURIComponent(file.name)}`;
  const answer = await client.get(url, { what, headers }, signal);
  try {
    const start = answer.status === 206 ? startOf(header(answer.headers, 'content-range')) : 0;
    if (start === 0 && part.size > 0) await restart(part, download); // it knows no ranges
    if (start !== part.size) throw notTheHub(what, 'it sent another range than was asked for');
    await append(part, download, answer.body, signal);
  } finally {
    answer.body.destroy();
  }
}

const startOf = (contentRange: string | undefined): number =>
  Number(/^bytes (\d+)-/.exec(contentRange ?? '')?.[1] ?? Number.NaN);

async function append(
  part: Part,
  download: Download,
  body: Readable,
  signal: AbortSignal,
): Promise<void> {
  const { file, repo, onBytes } = download;
  const what = `${file.name} of ${repo}`;
  for await (const chunk of chunksOf(body, what, signal)) {
    if (part.size + chunk.length > file.size) {
      await restart(part, download);
      throw corrupt(download, `the hub tells ${file.size} bytes and sends more`);
    }
    await writeFully(part.handle, chunk, part.size);
    part.hash.update(chunk);
    part.size += chunk.length;
    onBytes(chunk.length);
  }
  if (part.size < file.size) throw connectionLost(what, 'it ended too early');
}

/** Tells a cut connection from a full disk, which both end the same loop. */
async function* chunksOf(
  body: Readable,
  what: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body) {
      signal.throwIfAborted();
      yield chunk;
    }
  } catch (err: unknown) {
    signal.throwIfAborted();
    throw connectionLost(what, err);
  }
}

const corrupt = ({ repo, file }: Download, problem: string): AppError =>
  new AppError(
    'DOWNLOAD_CORRUPT',
    `downloading ${file.name} of ${repo}: ${problem}; a proxy or mirror in between changes it, check HF_ENDPOINT and the proxies`,
  );
