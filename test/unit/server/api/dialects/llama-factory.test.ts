import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rewardRow } from '../../../../support/bigram-model.ts';
import { float32, startDialectKit } from '../../../../support/dialect-kit.ts';

describe('POST /v1/score/evaluation', () => {
  it('answers a score for each text, whatever its client calls the model', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });
    const messages = ['<bos>!', '"'];

    const { body } = await kit.post('/v1/score/evaluation', { model: 'model', messages });

    const want = [[1, 3], [4]].map((ids) => rewardRow({ tokens: Int32Array.from(ids) }, 1)[0]);
    assert.deepEqual(body.scores.map(float32), want);
    assert.equal(body.model, 'rl/tiny');
  });

  it('refuses what is no text', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });

    const { status } = await kit.post('/v1/score/evaluation', { messages: [{ role: 'user' }] });

    assert.equal(status, 400);
  });
});
