// What a path of a volume leads to, proven to lie inside it after links are resolved. Every file of a checkpoint is opened
// by way of here: its names come from manifests and from files of others.
import { constants } from 'node:fs';
import { access, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../../../common/errors.ts';

export interface VolumePath {
  /** The mounted volume. */
  readonly root: string;
  /** Folder in it, relative. */
  readonly path: string;
}

/** The content of the file `name` of a folder. Throws PATH_ESCAPES_VOLUME or MODEL_FILES_MISSING. */
export async function readInside(folder: VolumePath, name: string): Promise<Buffer> {
  const root = await reach(folder.root, (at) => realpath(at));
  return readFile(await fileInside(root, path.resolve(root, folder.path, name)));
}

/** As resolveInside, for a file that can be read: opening a pipe would wait until someone writes into it. */
export async function fileInside(root: string, file: string): Promise<string> {
  const real = await resolveInside(root, file);
  if (!(await reach(real, stat)).isFile()) throw missing(`${file} is not a file`);
  await reach(real, (at) => access(at, constants.R_OK));
  return real;
}

/** `file` with links resolved. Throws PATH_ESCAPES_VOLUME when it, or what it links to, is not under `root`. */
export async function resolveInside(root: string, file: string): Promise<string> {
  assertInside(root, file);
  const real = await reach(file, (at) => realpath(at));
  assertInside(root, real);
  return real;
}

function assertInside(root: string, file: string): void {
  const relative = path.relative(root, file);
  if (relative.split(path.sep)[0] === '..' || path.isAbsolute(relative)) {
    throw new AppError('PATH_ESCAPES_VOLUME', `reading the model: ${file} is outside ${root}`);
  }
}

/** What `look` finds at `file`. Throws MODEL_FILES_MISSING with what the file system says. */
export async function reach<T>(file: string, look: (file: string) => Promise<T>): Promise<T> {
  try {
    return await look(file);
  } catch (err: unknown) {
    throw missing(err instanceof Error ? err.message : String(err), err);
  }
}

export const missing = (problem: string, cause?: unknown): AppError =>
  new AppError('MODEL_FILES_MISSING', `reading the model: ${problem}`, { cause });
