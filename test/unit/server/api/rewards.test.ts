import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { reward } from '../../../../server/api/rewards.ts';
import { readRows } from '../../../../server/api/rows.ts';
import { rewardRow } from '../../../support/bigram-model.ts';
import { forever, scoringKit } from '../../../support/scoring-kit.ts';
import { catalogModel } from '../../../support/server-kit.ts';

const request = (ids: number[][]) => ({
  model: catalogModel('rl/a'),
  field: 'input_ids',
  rows: readRows('input_ids', ids),
});

describe('reward', () => {
  it('gives the scores of every row in order, and counts its tokens', async () => {
    const { scoring, scored } = scoringKit({ labels: ['a', 'b'] });

    const { rewards, promptTokens } = await reward(scoring, request([[1, 2], [3]]), forever);

    const want = [[1, 2], [3]].map((ids) => rewardRow({ tokens: Int32Array.from(ids) }, 2));
    assert.deepEqual(rewards, want);
    assert.equal(promptTokens, 3);
    assert.deepEqual(scored, [[3, 0]]);
  });

  it('refuses a language model, and says which routes it has', async () => {
    const { scoring } = scoringKit();

    await assert.rejects(reward(scoring, request([[1]]), forever), {
      code: 'TASK_MISMATCH',
      message: /v1\/logprobs/,
    });
  });
});
