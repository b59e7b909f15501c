// The fields that verl and clients of vLLM send and read.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { activate } from '../../../../../server/api/dialects/vllm-pooling.ts';
import { rewardRow } from '../../../../support/bigram-model.ts';
import { float32, startDialectKit } from '../../../../support/dialect-kit.ts';

const score = (ids: number[], labels = 1) => rewardRow({ tokens: Int32Array.from(ids) }, labels);

describe('POST /classify in the shape of vLLM', () => {
  it('gives verl the raw score, since it asks for no activation', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });

    for (const field of ['activation', 'use_activation', 'softmax']) {
      const { body } = await kit.post('/classify', {
        model: 'rl/tiny',
        input: '!"',
        [field]: false,
      });

      assert.equal(float32(body.data.at(-1).probs.at(-1)), score([1, 3, 4])[0]);
    }
  });

  it('answers probabilities by default, with the name of the most likely label', async () => {
    await using kit = await startDialectKit({ labels: ['bad', 'good', 'best'] });

    const { body } = await kit.post('/v1/classify', { input: [[1, 2], [3]] });

    const [first, second] = body.data;
    assert.equal(body.object, 'list');
    assert.deepEqual([first.index, second.index], [0, 1]);
    assert.deepEqual(Object.keys(first), ['index', 'label', 'probs', 'num_classes']);
    assert.deepEqual(first.probs.map(Math.fround), Array.from(activate(score([1, 2], 3))));
    assert.equal(first.num_classes, 3);
    const best = first.probs.indexOf(Math.max(...first.probs));
    assert.equal(first.label, ['bad', 'good', 'best'][best]);
    assert.equal(body.usage.prompt_tokens, 3);
  });

  it('judges a conversation as the template of the model writes it', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });
    const messages = [{ role: 'user', content: '"' }];

    const { body } = await kit.post('/classify', { messages, use_activation: false });

    assert.equal(float32(body.data[0].probs[0]), score([1, 3, 4])[0]);
  });

  it('refuses to cut off anything', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });

    const { status } = await kit.post('/classify', { input: '!', truncate_prompt_tokens: 1 });

    assert.equal(status, 400);
  });
});

describe('POST /v1/embeddings and /pooling', () => {
  it('answer the raw scores, as numbers or as the bytes that SDKs ask for', async () => {
    await using kit = await startDialectKit({ labels: ['bad', 'good'] });
    const input = [1, 3, 4];

    const pooling = await kit.post('/pooling', { input });
    const embedding = await kit.post('/v1/embeddings', { model: 'rl/tiny', input });
    const bytes = await kit.post('/v1/embeddings', { input, encoding_format: 'base64' });

    const want = Array.from(score(input, 2));
    assert.deepEqual(pooling.body.data[0].data.map(Math.fround), want);
    assert.equal(pooling.body.data[0].object, 'pooling');
    assert.deepEqual(embedding.body.data[0].embedding.map(Math.fround), want);
    assert.equal(embedding.body.data[0].object, 'embedding');
    const buffer = Buffer.from(bytes.body.data[0].embedding, 'base64');
    assert.deepEqual([buffer.readFloatLE(0), buffer.readFloatLE(4)], want);
  });
});

describe('activate', () => {
  it('is a sigmoid of one score, and a softmax of several, without overflow', () => {
    assert.deepEqual(activate(Float32Array.of(0)), Float32Array.of(0.5));
    assert.deepEqual(activate(Float32Array.of(1000, 1000)), Float32Array.of(0.5, 0.5));
    assert.deepEqual(activate(Float32Array.of(-1000)), Float32Array.of(0));
  });
});
