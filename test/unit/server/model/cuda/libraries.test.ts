import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import {
  type CheckOptions,
  checkLibraries,
  installedRuntime,
  loaderCache,
  loaderSearch,
} from '../../../../../server/model/cuda/libraries.ts';
import { sharedLibrary } from '../../../../support/elf.ts';
import { type TemporaryFolder, temporaryFolder } from '../../../../support/temporary-folder.ts';

const buildInfo = (commit: string) => `\0ORT Build Info: git-commit-id=${commit}, build type\0`;
const needed = ['libcudart.so.13', 'libcuda.so.1', 'libc.so.6'];

/** A runtime of version 1.30.0 with everything that its provider needs. */
function installed({ path: root }: TemporaryFolder): CheckOptions {
  const folder = path.join(root, 'bin');
  const system = path.join(root, 'lib');
  for (const made of [folder, system]) mkdirSync(made);
  const write = (file: string, constants: string, names: string[] = []) =>
    writeFileSync(path.join(folder, file), sharedLibrary({ needed: names, constants }));
  const far = '.'.repeat(3 * 2 ** 20);
  write('libonnxruntime.so.1', `${far}${buildInfo('f2c39fe2f')}\x001.30.0\0`);
  write('libonnxruntime_providers_shared.so', '');
  write('libonnxruntime_providers_cuda.so', `${far}\x001.30.0\0`, needed);
  for (const name of needed) writeFileSync(path.join(system, name), '');
  return {
    runtime: { folder, version: '1.30.0' },
    search: { folders: [system], known: [] },
    hasDriver: true,
  };
}

/** `spoil` takes something away; what the check says then. */
async function problem(
  spoil: (options: CheckOptions) => void,
  changes: Partial<CheckOptions> = {},
): Promise<string> {
  using folder = temporaryFolder();
  const options = installed(folder);
  spoil(options);
  try {
    await checkLibraries({ ...options, ...changes });
    return '';
  } catch (err) {
    assert.equal((err as { code?: string }).code, 'PROVIDER_UNAVAILABLE');
    return (err as Error).message;
  }
}

const remove =
  (name: string) =>
  ({ runtime, search }: CheckOptions) => {
    for (const folder of [runtime.folder, ...search.folders])
      rmSync(path.join(folder, name), { force: true });
  };

const provider = (constants: string) => {
  return ({ runtime }: CheckOptions) =>
    writeFileSync(
      path.join(runtime.folder, 'libonnxruntime_providers_cuda.so'),
      sharedLibrary({ needed, constants }),
    );
};

describe('checkLibraries', () => {
  it('has nothing to say when everything is there', async () => {
    assert.equal(await problem(() => {}), '');
  });

  for (const file of ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so']) {
    it(`names ${file} and the version that is wanted when it is missing`, async () => {
      assert.match(await problem(remove(file)), new RegExp(`${file} is missing.*1\\.30\\.0`));
    });
  }

  it('refuses a provider of another version, which could crash the process', async () => {
    const says = await problem(provider('\x001.29.1\0'));

    assert.match(says, /providers_cuda\.so is not of version 1\.30\.0/);
  });

  it('refuses a provider of another commit, and takes one of the same', async () => {
    const other = await problem(provider(`${buildInfo('abc123')}\x001.30.0\0`));
    const same = await problem(provider(buildInfo('f2c39fe2f')));

    assert.match(other, /commit abc123.*commit f2c39fe2f/);
    assert.equal(same, '');
  });

  it('takes no version for another that begins alike', async () => {
    assert.match(await problem(provider('\x001.30.01\0')), /not of version/);
  });

  it('names a library of CUDA that is not found, and its version', async () => {
    const says = await problem(remove('libcudart.so.13'));

    assert.match(says, /libcudart\.so\.13 is not found.*CUDA 13/);
  });

  it('says that libcuda comes with the driver, and does without it where an image is built', async () => {
    assert.match(await problem(remove('libcuda.so.1')), /driver.*nvidia\.com\/gpu/);
    assert.equal(await problem(remove('libcuda.so.1'), { hasDriver: false }), '');
  });

  it('finds what the loader has in its cache', async () => {
    using elsewhere = temporaryFolder();
    const found = path.join(elsewhere.path, 'libcudart.so.13');
    writeFileSync(found, '');
    using folder = temporaryFolder();
    const options = installed(folder);
    remove('libcudart.so.13')(options);
    const search = { ...options.search, known: [found] };

    await checkLibraries({ ...options, search });
  });
});

describe('installedRuntime', () => {
  it('is the one in node_modules', async () => {
    const { folder, version } = await installedRuntime();

    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.ok(folder.includes(path.join('onnxruntime-node', 'bin')), folder);
  });
});

describe('loaderSearch', () => {
  it('looks in LD_LIBRARY_PATH first', async () => {
    const { folders } = await loaderSearch('/usr/local/cuda/lib64:/opt/lib');

    assert.deepEqual(folders.slice(0, 2), ['/usr/local/cuda/lib64', '/opt/lib']);
    assert.deepEqual((await loaderSearch(undefined)).folders[0], '/lib');
  });

  it('reads the paths in a cache of ldconfig', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'ld.so.cache');
    writeFileSync(file, 'glibc-ld.so.cache1.1\0\0\x01\0libc.so.6\0/lib/libc.so.6\0libm.so.6\0');

    assert.deepEqual(await loaderCache(file), ['/lib/libc.so.6']);
    assert.deepEqual(await loaderCache('/nowhere'), []);
  });
});
