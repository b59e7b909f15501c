import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../common/errors.ts';
import {
  BigramModels,
  bigram,
  rewardRow,
  scoreRow,
  vocabularySize,
} from '../../support/bigram-model.ts';
import { roomForAll } from '../../support/engine-kit.ts';
import { catalogModel } from '../../support/server-kit.ts';

const load = (models: BigramModels) => models.load(catalogModel('rl/a'), roomForAll);

describe('the bigram model', () => {
  it('has a distribution for every token', () => {
    for (let last = 0; last < vocabularySize; last++) {
      const sum = bigram(last).reduce((total, logprob) => total + Math.exp(logprob), 0);

      assert.ok(Math.abs(sum - 1) < 1e-5);
    }
  });

  it('scores the tokens that are asked for, and the next one', () => {
    const row = scoreRow({
      tokens: Int32Array.of(3, 9, 4),
      positions: Int32Array.of(2),
      wantsNext: true,
      wantsRanks: true,
      topK: 3,
    });

    assert.equal(row.logprobs.length, 2);
    assert.equal(row.logprobs[0], bigram(9)[4]);
    assert.equal(row.logprobs[1], Math.max(...bigram(4)));
    assert.equal(row.ranks[1], 1);
    assert.equal(row.topLogprobs[3], row.logprobs[1]);
    assert.equal(row.topIds.length, 6);
  });

  it('gives no ranks where none are asked for', () => {
    const row = scoreRow({ tokens: Int32Array.of(3, 9), positions: Int32Array.of(1) });

    assert.deepEqual(
      [row.logprobs.length, row.ranks.length, row.topIds.length, row.k],
      [1, 0, 0, 0],
    );
  });

  it('is a reward model where it has labels, whose every token counts', async () => {
    const session = await load(new BigramModels({ labels: ['a', 'b'] }));
    const rows = [[1, 2], [2], [1, 2, 3]].map((ids) => ({ tokens: Int32Array.from(ids) }));

    const rewards = await session.reward(rows);

    assert.equal(session.identity.task, 'Reward');
    assert.deepEqual(
      rewards,
      rows.map((row) => rewardRow(row, 2)),
    );
    assert.equal(new Set(rewards.flatMap((row) => [...row])).size, 6);
  });

  it('ends when it dies or is closed, and fails those who ask', async () => {
    const models = new BigramModels();
    const sessions = [await load(models), await load(models)];

    models.sessions[0]?.die();
    await sessions[1]?.close();

    for (const session of sessions) {
      await session.ended;
      await assert.rejects(session.score([]), { code: 'RUNNER_DIED' });
    }
  });

  it('fails to load when told to', async () => {
    const models = new BigramModels();
    models.failure = new AppError('LOAD_FAILED', 'no');

    await assert.rejects(load(models), { code: 'LOAD_FAILED' });
  });
});
