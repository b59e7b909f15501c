import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BigramModels, bigram, rewardRow } from '../../../../support/bigram-model.ts';
import { startServerKit } from '../../../../support/server-kit.ts';

describe('POST /compute_log_probs', () => {
  it('answers values per token, null at the first and at pads, and their means', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    const { status, body } = await kit.post('/compute_log_probs', {
      model_name: 'rl/tiny',
      input_ids: [
        [5, 9, 2],
        [7, 0, 0],
      ],
      attention_mask: [
        [1, 1, 1],
        [1, 0, 0],
      ],
      load_in_8bit: true,
    });

    assert.equal(status, 200);
    const [first, second] = body.log_probs;
    assert.deepEqual(first.slice(1).map(Math.fround), [bigram(5)[9], bigram(9)[2]]);
    assert.deepEqual([first[0], second], [null, [null, null, null]]);
    const mean = (bigram(5)[9]! + bigram(9)[2]!) / 2;
    const [firstMean, secondMean] = body.mean_log_probs;
    assert.ok(Math.abs(firstMean - mean) < 1e-6, `mean ${firstMean}`);
    assert.equal(secondMean, null);
    assert.deepEqual([body.model_name, body.batch_size], ['rl/tiny', 2]);
  });
});

describe('POST /compute_rewards', () => {
  it('answers a score per row', async () => {
    await using kit = await startServerKit({ load: new BigramModels({ labels: ['good'] }).load });

    const { body } = await kit.post('/compute_rewards', { input_ids: [[5, 9]] });

    const [want] = rewardRow({ tokens: Int32Array.of(5, 9) }, 1);
    assert.deepEqual(body.rewards.map(Math.fround), [want]);
    assert.equal(body.batch_size, 1);
  });
});
