import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rewardRow } from '../../../../support/bigram-model.ts';
import { startDialectKit } from '../../../../support/dialect-kit.ts';

const score = (...ids: number[]) => rewardRow({ tokens: Int32Array.from(ids) }, 1)[0];

describe('POST /remote_rm', () => {
  it('answers a number for a sample, of a text or of messages', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });
    const ask = async (body: object) => (await kit.post('/remote_rm', body)).body;
    const hash = (await kit.post('/tokenize', { prompt: '#', add_special_tokens: false })).body
      .tokens[0] as number;

    const text = await ask({ prompt: '!', response: '"', label: 'any' });
    const chat = await ask({
      prompt: [{ role: 'user', content: '"' }],
      response: '!',
      label: null,
    });

    assert.equal(Math.fround(text), score(1, 3, 4));
    assert.equal(Math.fround(chat), score(1, 3, 4, hash, 3));
  });
});
