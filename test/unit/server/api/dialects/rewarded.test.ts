import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rewardRow } from '../../../../support/bigram-model.ts';
import { startDialectKit } from '../../../../support/dialect-kit.ts';

const score = (ids: number[]) => rewardRow({ tokens: Int32Array.from(ids) }, 1)[0] ?? 0;

describe('rewardPrompts', () => {
  it('judges ids and texts alike, and says who did', async () => {
    await using kit = await startDialectKit({ labels: ['good'] });

    const { body, headers } = await kit.post('/pooling', { input: ['!"', [1, 3, 4]] });

    const values = body.data.map((entry: { data: number[] }) => Math.fround(entry.data[0] ?? 0));
    assert.deepEqual(values, [score([1, 3, 4]), score([1, 3, 4])]);
    assert.equal(headers.get('x-refmodel-revision'), 'revision-of-rl/tiny');
  });

  it('refuses a language model, and names the routes that it answers', async () => {
    await using kit = await startDialectKit();

    const { status, body } = await kit.post('/get_reward', { query: ['!'] });

    assert.deepEqual([status, body.error.code], [400, 'TASK_MISMATCH']);
  });
});

describe('singleScores', () => {
  it('refuses a model of several labels: a trainer must not guess which one it got', async () => {
    await using kit = await startDialectKit({ labels: ['bad', 'good'] });

    const { status, body } = await kit.post('/get_reward', { query: ['!'] });

    assert.deepEqual([status, body.error.code], [400, 'TASK_MISMATCH']);
    assert.match(body.error.message, /classify/);
  });
});
