import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rewardRow } from '../../../../support/bigram-model.ts';
import { float32, startDialectKit } from '../../../../support/dialect-kit.ts';

describe('POST /get_reward', () => {
  it('answers what OpenRLHF reads, of texts that have their special tokens already', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });

    const { body } = await kit.post('/get_reward', {
      query: ['<bos>!"'],
      prompts: ['!'],
      labels: [null],
    });

    assert.deepEqual(Object.keys(body), ['rewards', 'scores', 'extra_logs']);
    assert.equal(float32(body.rewards[0]), rewardRow({ tokens: Int32Array.of(1, 3, 4) }, 1)[0]);
    assert.deepEqual(body.scores, body.rewards);
    assert.deepEqual(body.extra_logs, {});
  });

  it('adds no token to a text, unless it is asked to', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });
    const ask = async (body: object) => (await kit.post('/get_reward', body)).body.rewards[0];

    assert.equal(
      float32(await ask({ query: ['!'] })),
      rewardRow({ tokens: Int32Array.of(3) }, 1)[0],
    );
    assert.equal(
      await ask({ query: ['!'], add_special_tokens: true }),
      await ask({ query: ['<bos>!'] }),
    );
  });
});
