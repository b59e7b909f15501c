import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readRows } from '../../../../server/api/rows.ts';
import { type ScoreRequest, score } from '../../../../server/api/score.ts';
import { nothingScored, positionsFrom } from '../../../../server/model/scoring.ts';
import { scoreRow } from '../../../support/bigram-model.ts';
import { scoreAll } from '../../../support/engine-kit.ts';
import { forever, scoringKit } from '../../../support/scoring-kit.ts';
import { catalogModel, until } from '../../../support/server-kit.ts';

const none = new Int32Array();

const request = (ids: number[][], fields: Partial<ScoreRequest> = {}): ScoreRequest => ({
  model: catalogModel('rl/a'),
  field: 'input_ids',
  rows: readRows('input_ids', ids),
  asked: ids.map(({ length }) => ({ positions: positionsFrom(1, length) })),
  ...fields,
});

describe('score', () => {
  it('gives the values of every row in order, and counts them', async () => {
    const { scoring, scored, cache } = scoringKit();

    const { rows, usage } = await score(scoring, request([[1, 2, 3], [4], [5, 6]]), forever);

    const want = [[1, 2, 3], [4], [5, 6]].map((ids) => scoreRow(scoreAll(ids)).logprobs);
    assert.deepEqual(
      rows.map(({ values }) => values.logprobs),
      want,
    );
    assert.deepEqual(usage, { promptTokens: 6, scoredTokens: 3 });
    assert.deepEqual(scored, [[6, 3]]);
    assert.equal(cache.info()[0]?.inFlight, 0);
  });

  it('does not run the model for rows without anything to score', async () => {
    const { scoring, models } = scoringKit();

    await score(scoring, request([[1, 2]], { asked: [{ positions: none }] }), forever);

    assert.deepEqual(models.sessions[0]?.passes, []);
  });

  it('scores the next token alone where that is all that is asked', async () => {
    const { scoring } = scoringKit();

    const { rows } = await score(
      scoring,
      request([[1, 2]], { asked: [{ positions: none, wantsNext: true }] }),
      forever,
    );

    assert.equal(rows[0]?.values.logprobs.length, 1);
  });

  it('never answers with a value that is no number', async () => {
    const { scoring, models, cache } = scoringKit();
    (await cache.acquire(catalogModel('rl/a'), forever))[Symbol.dispose]();
    const [session] = models.sessions;
    assert.ok(session);
    const broken = { ...nothingScored, logprobs: Float32Array.of(Number.NaN) };
    session.score = async () => [broken];

    await assert.rejects(score(scoring, request([[1, 2]]), forever), {
      code: 'SCORE_NOT_A_NUMBER',
    });
  });

  it('names the candidate that is not in the vocabulary', async () => {
    const { scoring } = scoringKit();
    const candidates = { ids: Int32Array.of(-1, 63, 5, 64), width: 2 };
    const asked = [{ positions: Int32Array.of(1, 2), candidates }];

    await assert.rejects(score(scoring, request([[1, 2, 3]], { asked }), forever), {
      code: 'TOKEN_OUT_OF_RANGE',
      message: /candidate_ids\[0\], position 2: 64 .*0 to 63/,
    });
  });

  it('refuses a reward model, and says which route has its scores', async () => {
    const { scoring } = scoringKit({ labels: ['good'] });

    await assert.rejects(score(scoring, request([[1, 2]]), forever), {
      code: 'TASK_MISMATCH',
      message: /rl\/a.*\/v1\/rewards/,
    });
  });

  it('lets callers take turns, not their requests', async () => {
    const { scoring, models } = scoringKit();
    let open = () => {};
    models.passGate = new Promise((resolve) => {
      open = resolve;
    });
    const order: string[] = [];
    const long = Array.from({ length: 60 }, (_, i) => i % 7);
    const ask = async (name: string, caller: string) => {
      const ids = [long, long.toReversed(), [9, ...long]];
      await score(scoring, request(ids, { caller }), forever);
      order.push(name);
    };
    const first = ask('first', 'a');
    await until(() => models.sessions[0]?.passes.length === 1);
    const others = ['a1', 'a2', 'a3'].map((name) => ask(name, 'a'));
    const other = ask('b', 'b');

    open();
    await Promise.all([first, ...others, other]);

    assert.ok(order.indexOf('b') < order.indexOf('a3'), order.join(' '));
  });
});
