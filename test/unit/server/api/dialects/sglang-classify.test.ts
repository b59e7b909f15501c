import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSglangClassify } from '../../../../../server/api/dialects/sglang-classify.ts';
import { rewardRow } from '../../../../support/bigram-model.ts';
import { float32, startDialectKit } from '../../../../support/dialect-kit.ts';

describe('POST /classify in the shape of SGLang', () => {
  it('is told from vLLM by its fields', () => {
    assert.equal(isSglangClassify({ text: 'a' }), true);
    assert.equal(isSglangClassify({ input_ids: [1] }), true);
    assert.equal(isSglangClassify({ input: 'a' }), false);
    assert.equal(isSglangClassify({ messages: [] }), false);
    assert.equal(isSglangClassify(undefined), false);
  });

  it('answers the raw scores, a list with a list', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });

    const list = await kit.post('/classify', { model: 'rl/tiny', text: ['!"', '!'] });
    const one = await kit.post('/classify', { model: 'rl/tiny', input_ids: [1, 3, 4] });

    assert.equal(list.body.length, 2);
    assert.deepEqual(list.body[0].embedding, one.body.embedding);
    assert.equal(
      float32(one.body.embedding[0]),
      rewardRow({ tokens: Int32Array.of(1, 3, 4) }, 1)[0],
    );
  });
});
