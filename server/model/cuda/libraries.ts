// Whether the CUDA provider of ONNX Runtime can be loaded: its files, that they are of the same build as the core, and
// the libraries that it needs. The runtime itself says of all that only that it failed, or crashes.
import { access, type FileHandle, open, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { isErrno } from '../disk.ts';
import { type Range, type Read, readSharedLibrary, type SharedLibrary } from './elf.ts';

export interface Runtime {
  /** Folder of its native files. */
  readonly folder: string;
  readonly version: string;
}

export interface Search {
  /** Where the loader looks, in this order. */
  readonly folders: readonly string[];
  /** Absolute paths that it knows besides. */
  readonly known: readonly string[];
}

export interface CheckOptions {
  readonly runtime: Runtime;
  readonly search: Search;
  /** False where an image is built: the driver comes with the node. */
  readonly hasDriver: boolean;
}

const core = 'libonnxruntime.so.1';
const provider = 'libonnxruntime_providers_cuda.so';
const files = [core, 'libonnxruntime_providers_shared.so', provider];

/** Throws PROVIDER_UNAVAILABLE, with the file and the version that is wanted, and where it comes from. */
export async function checkLibraries({ runtime, search, hasDriver }: CheckOptions): Promise<void> {
  const { folder, version } = runtime;
  const wanted = `the CUDA provider of onnxruntime ${version}`;
  for (const file of files) {
    if (await exists(join(folder, file))) continue;
    const remedy = `use the CUDA image, or put the file of the Python package onnxruntime-gpu==${version} there`;
    throw unavailable(`${join(folder, file)} is missing: ${wanted}; ${remedy}`);
  }
  const needed = await withFile(join(folder, provider), async (read) => {
    const library = await readSharedLibrary(read);
    await assertSameBuild(read, library, runtime);
    return library.needed;
  });
  for (const name of needed) {
    if (name === driverLibrary && !hasDriver) continue;
    if (!(await isFound(name, search))) {
      throw unavailable(`${name} is not found: ${wanted} needs it; ${originOf(name)}`);
    }
  }
}

/** Another build may load all the same, and then corrupt memory: the two talk over tables of functions. */
async function assertSameBuild(read: Read, library: SharedLibrary, runtime: Runtime) {
  const { folder, version } = runtime;
  const ours = await withFile(join(folder, core), async (readCore) => {
    return commitIn(readCore, (await readSharedLibrary(readCore)).constants);
  });
  const theirs = await commitIn(read, library.constants);
  if (theirs !== undefined && theirs !== ours) {
    const builds = `it is of commit ${theirs}, ${core} of commit ${ours}`;
    throw unavailable(`${join(folder, provider)} is of another build: ${builds}`);
  }
  const hasVersion = await findText(read, library.constants, (text) =>
    text.includes(`\0${version}\0`) ? version : undefined,
  );
  if (!hasVersion && theirs === undefined) {
    throw unavailable(`${join(folder, provider)} is not of version ${version}`);
  }
}

/** Not every build of a provider has one. */
const commitIn = (read: Read, range: Range): Promise<string | undefined> =>
  findText(read, range, (text) => /git-commit-id=([0-9a-f]+)/.exec(text)?.[1]);

const chunkBytes = 2 ** 20;
/** What is looked for is shorter. */
const overlapBytes = 256;

/** The first that `find` finds among the constants, a part of them at a time. */
async function findText(
  read: Read,
  { offset, length }: Range,
  find: (text: string) => string | undefined,
): Promise<string | undefined> {
  for (let at = 0; at < length; at += chunkBytes) {
    const bytes = await read(offset + at, Math.min(chunkBytes + overlapBytes, length - at));
    const found = find(bytes.toString('latin1'));
    if (found !== undefined) return found;
  }
  return undefined;
}

async function withFile<T>(file: string, use: (read: Read) => Promise<T>): Promise<T> {
  const handle: FileHandle = await open(file);
  try {
    return await use(async (offset, length) => {
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await handle.read(buffer, 0, length, offset);
      return buffer.subarray(0, bytesRead);
    });
  } finally {
    await handle.close();
  }
}

async function isFound(name: string, { folders, known }: Search): Promise<boolean> {
  for (const folder of folders) if (await exists(join(folder, name))) return true;
  for (const file of known) if (file.endsWith(`/${name}`) && (await exists(file))) return true;
  return false;
}

const driverLibrary = 'libcuda.so.1';

function originOf(name: string): string {
  if (name === driverLibrary)
    return 'it comes with the driver: the pod needs nvidia.com/gpu in its resources, and the RuntimeClass of NVIDIA where the cluster has one';
  const [, library = '', major = ''] = /^lib(\w+)\.so\.(\d+)/.exec(name) ?? [];
  if (/^(cudart|cublas|cublasLt)$/.test(library))
    return `install the runtime libraries of CUDA ${major}, or use the CUDA image`;
  if (library === 'curand') return 'install the runtime libraries of CUDA, or use the CUDA image';
  return 'install the package of the distribution that has it';
}

const unavailable = (what: string): AppError =>
  new AppError('PROVIDER_UNAVAILABLE', `looking for the CUDA provider: ${what}`);

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT', 'ENOTDIR', 'EACCES')) return false;
    throw err;
  }
}

/** The one that this process would load. */
export async function installedRuntime(): Promise<Runtime> {
  const root = dirname(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')));
  const { version } = manifest.parse(
    JSON.parse(await readFile(join(root, 'package.json'), 'utf8')),
  );
  return { folder: join(root, 'bin/napi-v6', process.platform, process.arch), version };
}

const manifest = z.object({ version: z.string() });

/** As ld.so(8) searches for what a library without a path of its own needs. */
export async function loaderSearch(libraryPath: string | undefined): Promise<Search> {
  const standard = ['/lib', '/usr/lib', '/lib64', '/usr/lib64'];
  const folders = (libraryPath ?? '').split(/[:;]/).filter(Boolean);
  return { folders: [...folders, ...standard], known: await loaderCache('/etc/ld.so.cache') };
}

/** The paths in a cache of ldconfig(8): whatever its layout, they stand in it between zeros. */
export async function loaderCache(file: string): Promise<string[]> {
  try {
    const texts = (await readFile(file, 'latin1')).split('\0');
    return texts.filter((text) => text.startsWith('/'));
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT', 'EACCES')) return [];
    throw err;
  }
}
