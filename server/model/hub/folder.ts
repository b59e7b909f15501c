// One repository in the cache, laid out as Hugging Face's own clients do, so that either finds what the other left:
// blobs/<name of the content>, snapshots/<commit>/<file> → ../../blobs/…, refs/<revision>. Ours alone is
// listings/<commit>.json: what the hub told of the files, for when nobody asks it.
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, rename, stat, symlink } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { asDiskError, isErrno, writeAtomically } from '../disk.ts';
import { type HubFile, hubFile, type Listing } from './listing.ts';
import { isCommit } from './names.ts';

const stored = z.object({ files: z.array(hubFile) });

export class RepoFolder {
  /** Absolute. */
  readonly root: string;

  /** `repo` and every revision and file name must have been checked: see names.ts. */
  constructor(cacheDir: string, repo: string) {
    this.root = path.resolve(cacheDir, 'hub', `models--${repo.replace('/', '--')}`);
  }

  get blobs(): string {
    return path.join(this.root, 'blobs');
  }

  /** Relative to the root. */
  snapshot(commit: string): string {
    return path.join('snapshots', commit);
  }

  file(commit: string, name: string): string {
    return path.join(this.root, this.snapshot(commit), name);
  }

  /** The commit that `revision` was resolved to. */
  async readRef(revision: string): Promise<string | undefined> {
    const text = await readOptional(path.join(this.root, 'refs', revision));
    return text !== undefined && isCommit(text.trim()) ? text.trim() : undefined;
  }

  async writeRef(revision: string, commit: string, signal: AbortSignal): Promise<void> {
    const file = path.join(this.root, 'refs', revision);
    await writeAtomically(file, (handle) => handle.writeFile(commit), signal);
  }

  async readListing(commit: string): Promise<Listing | undefined> {
    const text = await readOptional(this.#listing(commit));
    if (text === undefined) return undefined;
    const found = stored.safeParse(parseJson(text));
    return found.success ? { commit, files: found.data.files } : undefined;
  }

  async writeListing({ commit, files }: Listing, signal: AbortSignal): Promise<void> {
    const text = JSON.stringify({ files });
    await writeAtomically(this.#listing(commit), (handle) => handle.writeFile(text), signal);
  }

  /** What a folder that other clients filled says of itself: links to contents. */
  async listSnapshot(commit: string): Promise<Listing | undefined> {
    const files: HubFile[] = [];
    for (const name of await namesIn(path.join(this.root, this.snapshot(commit)))) {
      const file = await linkedFile(this.file(commit, name), name);
      if (file) files.push(file);
    }
    return files.length > 0 ? { commit, files } : undefined;
  }

  /** Whether the snapshot has the file, whole. */
  async has(commit: string, { name, size }: HubFile): Promise<boolean> {
    try {
      return (await stat(this.file(commit, name))).size === size;
    } catch (err: unknown) {
      if (isErrno(err, 'ENOENT')) return false;
      throw err;
    }
  }

  /** Shows the content under the file's name. */
  async link(commit: string, file: HubFile): Promise<void> {
    const link = this.file(commit, file.name);
    const temporary = `${link}.${randomUUID()}.tmp`;
    try {
      await mkdir(path.dirname(link), { recursive: true });
      await symlink(path.join('..', '..', 'blobs', file.etag), temporary);
      await rename(temporary, link);
    } catch (err: unknown) {
      throw asDiskError(err, link);
    }
  }

  #listing(commit: string): string {
    return path.join(this.root, 'listings', `${commit}.json`);
  }
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT', 'EISDIR', 'ENOTDIR')) return undefined; // refs/a when there is a refs/a/b, or the reverse
    throw err;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT')) return [];
    throw err;
  }
}

async function linkedFile(link: string, name: string): Promise<HubFile | undefined> {
  try {
    const etag = path.basename(await readlink(link));
    const { size } = await stat(link);
    return hubFile.safeParse({ name, size, etag }).data;
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT', 'EINVAL')) return undefined; // a link to nothing, or a file of another kind
    throw err;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not whole: as if it were not there
  }
}
