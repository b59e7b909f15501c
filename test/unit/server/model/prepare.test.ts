import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { prepareModel, supported } from '../../../../server/model/prepare.ts';
import { catalogModel, goldenRoot, neverAborted } from '../../../support/engine-kit.ts';
import { tinyLlama, writeCheckpoint } from '../../../support/llama-checkpoint.ts';
import { readModel } from '../../../support/onnx-reader.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

describe('supported', () => {
  const huggingFace = { repo: 'a/b', revision: 'main' };
  const refused = [
    { change: { source: { huggingFace } }, code: 'UNSUPPORTED_SOURCE' },
    { change: { task: 'Reward' }, code: 'UNSUPPORTED_TASK' },
    { change: { quantization: 'Int4' }, code: 'UNSUPPORTED_QUANTIZATION' },
    { change: { quantization: 'NF4' }, code: 'UNSUPPORTED_QUANTIZATION' },
  ] as const;
  for (const { change, code } of refused) {
    it(`refuses ${JSON.stringify(change)} with ${code}`, () => {
      assert.throws(() => supported(catalogModel(change)), { code });
    });
  }
});

describe('prepareModel', () => {
  it('identifies a model and says what it will take', async () => {
    using cache = temporaryFolder();

    const { summary } = await prepareModel(catalogModel(), cache.path, neverAborted);

    assert.equal(summary.folder, path.join(goldenRoot, 'llama'));
    assert.equal(summary.vocabularySize, 256);
    assert.match(summary.identity.digest, /^sha256:[0-9a-f]{64}$/);
    assert.equal(summary.identity.revision, summary.identity.digest.slice(7, 19));
    assert.equal(summary.identity.architecture, 'LlamaForCausalLM');
    assert.equal(summary.identity.parameters, 125_248);
    assert.equal(summary.identity.contextTokens, 2048);
    assert.equal(summary.weightBytes, 4 * (125_248 - 256 * 64) + 2 * 256 * 64);
  });

  it('converts nothing when unquantized, and takes less memory in 8-bit blocks', async () => {
    using cache = temporaryFolder();
    const blocks = catalogModel({ quantization: 'Int8' });

    const plain = await prepareModel(catalogModel(), cache.path, neverAborted);
    assert.ok(!existsSync(path.join(cache.path, 'converted')));
    const quantized = await prepareModel(blocks, cache.path, neverAborted);

    assert.ok(existsSync(path.join(cache.path, 'converted')));
    assert.ok(quantized.summary.weightBytes < plain.summary.weightBytes / 2);
    assert.equal(quantized.summary.identity.digest, plain.summary.identity.digest);
  });

  it('makes position tables no longer than the longest row that may come', async () => {
    using cache = temporaryFolder();
    const model = catalogModel({ maxSequenceTokens: 10 });

    const { encode } = await prepareModel(model, cache.path, neverAborted);

    const table = readModel(encode()).graph.constants.find(({ name }) => name === 'rope.cos');
    assert.deepEqual(table?.shape, [10, 8]);
  });

  it('says UNSUPPORTED_ARCHITECTURE for another architecture', async () => {
    using cache = temporaryFolder();
    const source = { volume: { root: goldenRoot, path: 'gpt2' } };

    const fails = prepareModel(catalogModel({ source }), cache.path, neverAborted);

    await assert.rejects(fails, { code: 'UNSUPPORTED_ARCHITECTURE' });
  });

  it('says TENSOR_MISSING when the config asks for more than the files have', async () => {
    using volume = temporaryFolder();
    const checkpoint = tinyLlama();
    const config = { ...checkpoint.config, num_hidden_layers: 3 };
    writeCheckpoint(path.join(volume.path, 'model'), { ...checkpoint, config });
    const source = { volume: { root: volume.path, path: 'model' } };

    const fails = prepareModel(catalogModel({ source }), volume.path, neverAborted);

    await assert.rejects(fails, { code: 'TENSOR_MISSING' });
  });
});
