import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { systemClock } from '../../../../common/clock.ts';
import { AppError } from '../../../../common/errors.ts';
import { silentLogger } from '../../../../common/log.ts';
import { Device } from '../../../../server/model/cuda/device.ts';
import { nvidiaSmi } from '../../../../server/model/cuda/driver.ts';
import { createLoader } from '../../../../server/model/load.ts';
import type { Bytes } from '../../../../server/model/memory.ts';
import type { Progress } from '../../../../server/model/progress.ts';
import type { Session } from '../../../../server/model/scoring.ts';
import { bytesIn } from '../../../../server/model/store/inventory.ts';
import {
  catalogModel,
  goldenRoot,
  roomForAll,
  scoreAll,
  scoreFrom,
  withSession,
} from '../../../support/engine-kit.ts';
import { tinyLlama, writeCheckpoint } from '../../../support/llama-checkpoint.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const loader = (cacheDir: string) => createLoader({ cacheDir, threads: 1, log: silentLogger });

/** Process ids of this process' runners. */
function runners(): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' });
  return lines
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, state]) => parent === String(process.pid) && !state?.startsWith('Z'))
    .filter((fields) => fields.some((field) => field.includes('model/runner')))
    .map(([pid]) => Number(pid));
}

describe('loadModel', () => {
  it('asks for room for the weights before it takes memory, and gives a session that scores', async () => {
    using cache = temporaryFolder();
    const asked: [string, Bytes][] = [];
    const admit = (bytes: Bytes) => void asked.push(['admit', bytes]);
    const reserve = (bytes: Bytes) => Promise.resolve(void asked.push(['reserve', bytes]));

    const session = await loader(cache.path)(catalogModel(), { ...roomForAll, admit, reserve });
    const [row] = await session.score([scoreAll([1, 2, 3])]);
    await session.close();

    const weights = { host: session.weightBytes, device: 0 };
    assert.deepEqual(asked, [
      ['admit', weights],
      ['reserve', weights],
    ]);
    assert.deepEqual(session.folder, { root: goldenRoot, path: 'llama' });
    assert.equal(session.identity.quantization, 'None');
    assert.ok(session.memory.host > 0, 'it takes no memory');
    assert.equal(row?.logprobs.length, 2);
  });

  it('tells what its runner evicted from the cache folder to make room', async () => {
    using cache = temporaryFolder();
    const evicted: number[] = [];
    const steps = { ...roomForAll, onDiskEvicted: (bytes: number) => void evicted.push(bytes) };
    const convert = async (folder: string, cacheBytes?: number) => {
      const load = createLoader({
        cacheDir: cache.path,
        cacheBytes,
        threads: 1,
        log: silentLogger,
      });
      const source = { volume: { root: goldenRoot, path: folder } };
      await (await load(catalogModel({ source, quantization: 'Int8' }), steps)).close();
    };

    await convert('llama');
    const first = await bytesIn(cache.path);
    await convert('llama-yarn', Math.ceil(1.5 * first));

    assert.deepEqual(evicted, [first]);
  });

  it('answers rows that score nothing with nothing', async () => {
    using cache = temporaryFolder();

    await withSession(cache.path, {}, async (session) => {
      const [alone, late] = await session.score([scoreAll([7]), scoreFrom(2, [1, 2])]);

      assert.deepEqual([alone?.logprobs.length, late?.logprobs.length], [0, 0]);
    });
  });

  it('gives the next token the values of the most likely one', async () => {
    using cache = temporaryFolder();

    await withSession(cache.path, {}, async (session) => {
      const row = scoreAll([3, 4], { wantsNext: true, wantsRanks: true });
      const [greedy, wide] = await session.score([row, { ...row, topK: 5 }]);

      assert.equal(greedy?.k, 1);
      assert.equal(wide?.k, 5);
      assert.equal(greedy?.ranks[1], 1);
      assert.equal(greedy?.logprobs[1], wide?.topLogprobs[5]);
      assert.equal(greedy?.topIds[1], wide?.topIds[5]);
    });
  });

  it('rejects scores in flight with RUNNER_DIED and settles `ended` when the runner dies', async () => {
    using cache = temporaryFolder();
    const session: Session = await loader(cache.path)(catalogModel(), roomForAll);
    const pids = runners();
    for (const pid of pids) process.kill(pid, 'SIGSTOP'); // so that it cannot answer first
    const inFlight = assert.rejects(session.score([scoreAll([1, 2])]), { code: 'RUNNER_DIED' });

    for (const pid of pids) process.kill(pid, 'SIGKILL');

    await session.ended;
    await inFlight;
    await assert.rejects(session.score([scoreAll([1, 2])]), { code: 'RUNNER_DIED' });
  });

  it('refuses what can never fit before anything is hashed or converted', async () => {
    using cache = temporaryFolder();
    const tooLarge = new AppError('MODEL_TOO_LARGE', 'never');
    const admit = () => {
      throw tooLarge;
    };

    const fails = loader(cache.path)(catalogModel(), { ...roomForAll, admit });

    await assert.rejects(fails, tooLarge);
    assert.deepEqual(readdirSync(cache.path), []);
    assert.deepEqual(runners(), []);
  });

  it('tells how far the conversion is, when there is something to convert', async () => {
    using cache = temporaryFolder();
    const model = catalogModel({ quantization: 'Int8' });
    const load = async () => {
      const told: Progress[] = [];
      const report = (progress: Progress) => void told.push(progress);
      await (await loader(cache.path)(model, { ...roomForAll, report })).close();
      return told;
    };

    const [first, second] = [await load(), await load()];

    const { phase, bytes, totalBytes } = first.at(-1) ?? {};
    assert.equal(phase, 'Converting');
    assert.equal(bytes, totalBytes);
    assert.deepEqual(second, []);
  });

  it('measures more for a larger model, about as much as its weights', async () => {
    using cache = temporaryFolder();
    using volume = temporaryFolder();
    const config = { hidden_size: 512, intermediate_size: 2048, vocab_size: 8000 };
    writeCheckpoint(path.join(volume.path, 'model'), tinyLlama(config));
    const source = { volume: { root: volume.path, path: 'model' } };

    await withSession(cache.path, { source }, async ({ memory, weightBytes }) => {
      assert.ok(weightBytes > 60e6, `${weightBytes} bytes of weights`);
      const ratio = memory.host / weightBytes;
      assert.ok(ratio > 0.8 && ratio < 1.5, `${memory.host} bytes for ${weightBytes} of weights`);
    });
  });

  it('measures what a load with a whole pass takes of the GPU, one load at a time', async () => {
    using cache = temporaryFolder();
    const gpu = {
      name: 'GPU',
      computeCapability: 9,
      driverVersion: '',
      totalBytes: 1e12,
      usedBytes: 0,
    };
    const device = new Device({
      driver: {
        gpu: async () => {
          gpu.usedBytes += 1e9; // as if each look were at a model more
          return { ...gpu };
        },
        processes: async () => new Map(),
      },
      checkLibraries: async () => {},
      clock: systemClock,
      log: silentLogger,
    });
    const load = createLoader({ cacheDir: cache.path, threads: 1, device, log: silentLogger });

    const sessions = await Promise.all([1, 2].map(() => load(catalogModel(), roomForAll)));

    await Promise.all(sessions.map((session) => session.close()));
    assert.deepEqual(
      sessions.map(({ memory }) => memory.device),
      [1e9, 1e9],
    );
  });

  it('ends the runner where the GPU cannot be used', async () => {
    using cache = temporaryFolder();
    const missing = new AppError('PROVIDER_UNAVAILABLE', 'no GPU');
    const device = new Device({
      driver: nvidiaSmi({ id: '0', command: '/nowhere/nvidia-smi' }),
      checkLibraries: () => Promise.reject(missing),
      clock: systemClock,
      log: silentLogger,
    });
    const load = createLoader({ cacheDir: cache.path, threads: 1, device, log: silentLogger });

    await assert.rejects(load(catalogModel(), roomForAll), { code: 'PROVIDER_UNAVAILABLE' });
    assert.deepEqual(runners(), []);
  });

  it('ends the runner when there is no room, and passes the reason on', async () => {
    using cache = temporaryFolder();
    const full = new AppError('CACHE_FULL', 'no room');
    const reserve = () => Promise.reject(full);

    const fails = loader(cache.path)(catalogModel(), { ...roomForAll, reserve });

    await assert.rejects(fails, full);
    assert.deepEqual(runners(), []);
  });

  it('ends the runner and gives the reason of the signal when the load is given up', async () => {
    using cache = temporaryFolder();
    const controller = new AbortController();
    const reason = new Error('given up');
    const reserve = () => Promise.resolve(controller.abort(reason));

    const fails = loader(cache.path)(catalogModel(), {
      ...roomForAll,
      reserve,
      signal: controller.signal,
    });

    await assert.rejects(fails, reason);
    assert.deepEqual(runners(), []);
  });

  it('says RUNNER_DIED when somebody kills the runner during the load', async () => {
    using cache = temporaryFolder();
    const reserve = () => {
      for (const pid of runners()) process.kill(pid, 'SIGKILL');
      return Promise.resolve();
    };

    const fails = loader(cache.path)(catalogModel(), { ...roomForAll, reserve });

    await assert.rejects(fails, { code: 'RUNNER_DIED' });
  });

  it('carries the code of what is wrong with the model', async () => {
    using cache = temporaryFolder();
    using volume = temporaryFolder();
    const config = JSON.stringify({ architectures: ['BertModel'], model_type: 'bert' });
    writeFileSync(path.join(volume.path, 'config.json'), config);
    const unknown = catalogModel({ source: { volume: { root: volume.path, path: '.' } } });
    const load = loader(cache.path);
    const inFolder = (folder: string) =>
      catalogModel({ source: { volume: { root: goldenRoot, path: folder } } });

    await assert.rejects(load(unknown, roomForAll), { code: 'UNSUPPORTED_ARCHITECTURE' });
    await assert.rejects(load(inFolder('nothing'), roomForAll), { code: 'MODEL_FILES_MISSING' });
    await assert.rejects(load(catalogModel({ task: 'Reward' }), roomForAll), {
      code: 'UNSUPPORTED_TASK',
    });
    assert.deepEqual(runners(), []);
  });

  it('lets two loads convert the same model at once', async () => {
    using cache = temporaryFolder();
    using volume = temporaryFolder();
    writeCheckpoint(path.join(volume.path, 'model'), tinyLlama());
    const source = { volume: { root: volume.path, path: 'model' } };
    const model = catalogModel({ source, quantization: 'Int8' });

    const sessions = await Promise.all([1, 2].map(() => loader(cache.path)(model, roomForAll)));

    const answers = await Promise.all(sessions.map((s) => s.score([scoreAll([1, 2, 3])])));
    await Promise.all(sessions.map((session) => session.close()));
    assert.deepEqual(answers[0], answers[1]);
  });
});
