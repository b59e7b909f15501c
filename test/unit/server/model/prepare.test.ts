import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { systemClock } from '../../../../common/clock.ts';
import type { CatalogModel } from '../../../../server/contract.ts';
import { offlineHub } from '../../../../server/model/hub/settings.ts';
import { describeSize, prepareModel } from '../../../../server/model/prepare.ts';
import { Store } from '../../../../server/model/store/store.ts';
import type { Provider } from '../../../../server/onnx/target.ts';
import { catalogModel, goldenRoot, neverAborted } from '../../../support/engine-kit.ts';
import { tinyLlama, writeCheckpoint } from '../../../support/llama-checkpoint.ts';
import { type TemporaryFolder, temporaryFolder } from '../../../support/temporary-folder.ts';

const options = ({ path: cacheDir }: TemporaryFolder) => ({
  cacheDir,
  store: new Store({ dir: cacheDir, clock: systemClock }),
  hub: offlineHub,
  report: () => {},
  keep: async () => {},
  threads: 1,
  provider: 'CPU' as Provider,
});

const prepare = (cache: TemporaryFolder, ...changes: Parameters<typeof catalogModel>) =>
  prepareModel(catalogModel(...changes), options(cache), neverAborted);

const inGolden = (name: string) => ({ source: { volume: { root: goldenRoot, path: name } } });

describe('describeSize', () => {
  it('estimates what a model takes without writing anything', async () => {
    for (const quantization of ['None', 'Int8'] as const) {
      using cache = temporaryFolder();
      const model = catalogModel({ quantization });

      const { estimate } = await describeSize(model, options(cache), neverAborted);

      assert.deepEqual(readdirSync(cache.path), []);
      const { summary } = await prepare(cache, { quantization });
      const ratio = estimate.host / summary.weightBytes;
      assert.ok(ratio > 0.95 && ratio < 1.05, `${quantization}: ${ratio} of the truth`);
    }
  });

  it('counts the memory of a GPU where that computes, with its numbers', async () => {
    using cache = temporaryFolder();
    const sizeIn = async (dtype: CatalogModel['dtype']) => {
      const cuda = { ...options(cache), provider: 'CUDA' } as const;
      const { estimate } = await describeSize(catalogModel({ dtype }), cuda, neverAborted);
      return estimate.device;
    };

    const [half, whole] = [await sizeIn('Float16'), await sizeIn('Float32')];

    assert.ok(half > 600 * 2 ** 20, `${half} bytes`);
    assert.ok(whole - half > 2 * 125_248, `${whole - half} bytes more`);
  });

  it('says what is wrong with a model before anything is converted', async () => {
    using cache = temporaryFolder();
    const fails = (name: string) =>
      describeSize(catalogModel(inGolden(name)), options(cache), neverAborted);

    await assert.rejects(fails('nothing'), { code: 'MODEL_FILES_MISSING' });
  });
});

describe('prepareModel', () => {
  it('identifies a model and says what it will take', async () => {
    using cache = temporaryFolder();

    const { summary } = await prepare(cache);

    assert.deepEqual(summary.folder, { root: goldenRoot, path: 'llama' });
    assert.equal(summary.vocabularySize, 256);
    assert.equal(summary.hiddenSize, 64);
    assert.match(summary.identity.digest, /^sha256:[0-9a-f]{64}$/);
    assert.equal(summary.identity.revision, summary.identity.digest.slice(7, 19));
    assert.equal(summary.identity.architecture, 'LlamaForCausalLM');
    assert.equal(summary.identity.task, 'LogProbs');
    assert.equal(summary.identity.parameters, 125_248);
    assert.equal(summary.identity.contextTokens, 2048);
    assert.equal(summary.weightBytes, 4 * (125_248 - 256 * 64) + 2 * 256 * 64);
  });

  it('converts nothing when unquantized, and takes less memory in blocks', async () => {
    using cache = temporaryFolder();

    const plain = await prepare(cache);
    assert.ok(!existsSync(path.join(cache.path, 'converted')), 'something was converted');
    const quantized = await prepare(cache, { quantization: 'Int8' });

    assert.deepEqual(
      quantized.summary.entries.map((entry) => path.dirname(entry)),
      [path.join(cache.path, 'converted')],
    );
    assert.ok(quantized.summary.weightBytes < plain.summary.weightBytes / 2, 'it takes as much');
    assert.equal(quantized.summary.identity.digest, plain.summary.identity.digest);
    assert.equal(plain.summary.fidelity, undefined);
  });

  it('knows what a GPU computes with, and the bytes of that', async () => {
    using cache = temporaryFolder();
    const onGPU = (quantization: CatalogModel['quantization']) =>
      prepareModel(
        catalogModel({ quantization }),
        { ...options(cache), provider: 'CUDA' },
        neverAborted,
      );

    const [whole, blocks] = [await onGPU('None'), await onGPU('Int8')];

    assert.deepEqual(whole.target, { provider: 'CUDA', type: 'bfloat16' });
    assert.equal(whole.summary.weightBytes, 2 * 125_248);
    const share = blocks.summary.weightBytes / (4 * 125_248);
    assert.ok(share > 0.265 && share < 0.3, `${share} of float32`);
  });

  it('uses the converted file again, with the figures in it, and makes another for another scheme', async () => {
    using cache = temporaryFolder();
    const first = await prepare(cache, { quantization: 'Int8' });
    const [file] = first.summary.entries;
    const writtenAt = statSync(file!, { bigint: true }).ino;

    const second = await prepare(cache, { quantization: 'Int8' });
    await prepare(cache, { quantization: 'Int4' });

    assert.equal(statSync(file!, { bigint: true }).ino, writtenAt);
    assert.deepEqual(second.summary.fidelity, first.summary.fidelity);
    assert.equal(readdirSync(path.join(cache.path, 'converted')).length, 2);
  });

  it('makes a converted file again that was cut short', async () => {
    using cache = temporaryFolder();
    const [file] = (await prepare(cache, { quantization: 'Int8' })).summary.entries;
    const { size } = statSync(file!);
    truncateSync(file!, size - 1);

    await prepare(cache, { quantization: 'Int8' });

    assert.equal(statSync(file!).size, size);
  });

  it('refuses a model that is further from its checkpoint than asked, also from the cache', async () => {
    using cache = temporaryFolder();
    const strict = { quantization: 'Int8', maxKL: 1e-9 } as const;

    await assert.rejects(prepare(cache, strict), { code: 'FIDELITY_TOO_LOW' });
    await assert.rejects(prepare(cache, strict), { code: 'FIDELITY_TOO_LOW' });
    await prepare(cache, { ...strict, maxKL: 1 });
    await prepare(cache, { ...strict, quantization: 'None' });
  });

  it('refuses a model that computes no numbers, whatever is asked of it', async () => {
    using cache = temporaryFolder();
    using volume = temporaryFolder();
    const checkpoint = tinyLlama();
    checkpoint.weights.get('model.norm.weight')?.values.fill(Number.NaN);
    writeCheckpoint(path.join(volume.path, 'model'), checkpoint);
    const source = { volume: { root: volume.path, path: 'model' } };

    await assert.rejects(prepare(cache, { source, quantization: 'Int8' }), {
      code: 'FIDELITY_TOO_LOW',
    });
  });

  it('knows a reward model by its config, and refuses to take one for another', async () => {
    using cache = temporaryFolder();

    const { summary } = await prepare(cache, inGolden('reward-llama'));

    assert.equal(summary.identity.task, 'Reward');
    assert.deepEqual(summary.labels, ['LABEL_0']);
    await assert.rejects(prepare(cache, { task: 'Reward' }), { code: 'UNSUPPORTED_TASK' });
    await assert.rejects(prepare(cache, { ...inGolden('reward-llama'), task: 'LogProbs' }), {
      code: 'UNSUPPORTED_TASK',
    });
  });

  it('tells how far scores of a reward model are off, and refuses to bound a divergence of them', async () => {
    using cache = temporaryFolder();
    const model = { ...inGolden('reward-llama'), quantization: 'Int8' } as const;

    const { fidelity } = (await prepare(cache, model)).summary;

    assert.deepEqual(Object.keys(fidelity ?? {}), ['meanAbsDelta', 'maxAbsDelta', 'tokens']);
    const bounded = { ...model, maxKL: 1 };
    await assert.rejects(prepare(cache, bounded), { code: 'UNSUPPORTED_TASK', message: /maxKL/ });
    await prepare(cache, { ...bounded, quantization: 'None' });
  });

  it('says UNSUPPORTED_ARCHITECTURE for an architecture that nobody described', async () => {
    using cache = temporaryFolder();
    using volume = temporaryFolder();
    const checkpoint = tinyLlama();
    const config = { ...checkpoint.config, architectures: ['MambaForCausalLM'] };
    writeCheckpoint(path.join(volume.path, 'model'), { ...checkpoint, config });
    const source = { volume: { root: volume.path, path: 'model' } };

    await assert.rejects(prepare(cache, { source }), { code: 'UNSUPPORTED_ARCHITECTURE' });
  });

  it('says TENSOR_MISSING when the config asks for more than the files have', async () => {
    using cache = temporaryFolder();
    using volume = temporaryFolder();
    const checkpoint = tinyLlama();
    const config = { ...checkpoint.config, num_hidden_layers: 3 };
    writeCheckpoint(path.join(volume.path, 'model'), { ...checkpoint, config });
    const source = { volume: { root: volume.path, path: 'model' } };

    await assert.rejects(prepare(cache, { source }), { code: 'TENSOR_MISSING' });
  });
});
