// The memory of a real GPU: what the driver tells, what a load takes, that all of it comes back.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log.ts';
import type { CatalogModel } from '../../server/contract.ts';
import { Device } from '../../server/model/cuda/device.ts';
import { firstVisible, nvidiaSmi } from '../../server/model/cuda/driver.ts';
import {
  checkLibraries,
  installedRuntime,
  loaderSearch,
} from '../../server/model/cuda/libraries.ts';
import { createLoader } from '../../server/model/load.ts';
import type { Bytes } from '../../server/model/memory.ts';
import { catalogModel, roomForAll, scoreAll } from '../support/engine-kit.ts';
import { eventually } from '../support/eventually.ts';
import { withoutGpu } from '../support/gpu.ts';
import { tinyLlama, writeCheckpoint } from '../support/llama-checkpoint.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';

const MB = 1e6;
const driver = nvidiaSmi({ id: firstVisible(process.env['CUDA_VISIBLE_DEVICES']) });

const check = async () => {
  const search = await loaderSearch(process.env['LD_LIBRARY_PATH']);
  await checkLibraries({ runtime: await installedRuntime(), search, hasDriver: true });
};

/** Wide: a token takes about 60 kB while it is computed. */
const shape = {
  hidden_size: 1024,
  intermediate_size: 8192,
  num_hidden_layers: 1,
  num_attention_heads: 8,
  vocab_size: 256,
  max_position_embeddings: 2048,
};

/** A token takes about 200 kB, and a thousand rows have nothing in common. */
const wide = { ...shape, intermediate_size: 32_768, vocab_size: 1024 };

describe('the memory of a GPU', { skip: withoutGpu }, () => {
  let folder: TemporaryFolder;
  let base = 0;
  const used = async () => (await driver.gpu()).usedBytes;
  const isBack = () =>
    eventually(async () => {
      const more = (await used()) - base;
      assert.ok(more < 50 * MB, `${more} bytes more than before`);
    }, 10_000);
  const load = (name: string, changes: Partial<CatalogModel> = {}, steps = roomForAll) => {
    const device = new Device({
      driver,
      checkLibraries: check,
      clock: systemClock,
      log: silentLogger,
    });
    const cacheDir = path.join(folder.path, 'cache');
    const options = { cacheDir, threads: 4, provider: 'CUDA', device, log: silentLogger } as const;
    const source = { volume: { root: folder.path, path: 'model' } };
    return createLoader(options)(catalogModel({ name, source, ...changes }), steps);
  };

  before(async () => {
    folder = temporaryFolder();
    writeCheckpoint(path.join(folder.path, 'model'), tinyLlama(shape));
    writeCheckpoint(path.join(folder.path, 'wide'), tinyLlama(wide));
    base = await used();
  });
  after(() => folder[Symbol.dispose]());

  it('is told by the driver, and the libraries are there', async (t) => {
    const gpu = await driver.gpu();
    const processes = await driver.processes();

    await check();

    t.diagnostic(`${JSON.stringify(gpu)}, ${processes.size} processes`);
    assert.ok(gpu.totalBytes > 8e9, `${gpu.totalBytes} bytes`);
    assert.match(gpu.driverVersion, /^\d+\.\d+/);
  });

  it('is taken by a load about as estimated, and comes back with its end', async (t) => {
    const asked: Bytes[] = [];
    const reserve = async (bytes: Bytes) => void asked.push(bytes);

    const session = await load('default/a', {}, { ...roomForAll, reserve });
    const [row] = await session.score([scoreAll([1, 2, 3])]);
    await session.close();

    const estimate = asked[0]?.device ?? 0;
    const { device, host } = session.memory;
    t.diagnostic(`estimated ${estimate / MB} MB, measured ${device / MB} MB, host ${host / MB} MB`);
    assert.equal(row?.logprobs.length, 2);
    assert.ok(device >= session.weightBytes, `${device} bytes measured`);
    assert.ok(device < 1.3 * estimate, `${device} bytes measured, ${estimate} estimated`);
    await isBack();
  });

  it('is the same after ten changes from one model to another', async () => {
    for (let turn = 0; turn < 10; turn++) {
      const session = await load(`default/${turn % 2 ? 'a' : 'b'}`);
      await session.score([scoreAll([1, 2, 3])]);
      await session.close();
      await isBack();
    }
  });

  it('is refused by its name when a pass wants more than any card has, and comes back', async (t) => {
    const fails = load('default/huge', {
      source: { volume: { root: folder.path, path: 'wide' } },
      maxBatchTokens: 2 ** 20,
    });

    const error: unknown = await fails.then(
      () => undefined,
      (err: unknown) => err,
    );

    t.diagnostic(String(error));
    assert.equal((error as { code?: string }).code, 'OUT_OF_DEVICE_MEMORY');
    await isBack();
  });
});
