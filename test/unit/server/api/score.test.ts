import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { readRows } from '../../../../server/api/rows.ts';
import { type ScoreRequest, type Scoring, score } from '../../../../server/api/score.ts';
import { ModelCache } from '../../../../server/model/cache.ts';
import { loadForServing } from '../../../../server/model/loaded.ts';
import { type ScoredRow } from '../../../../server/model/scoring.ts';
import { BigramModels, scoreRow } from '../../../support/bigram-model.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { catalogModel, until } from '../../../support/server-kit.ts';

const forever = new AbortController().signal;

function world() {
  const models = new BigramModels();
  const cache = new ModelCache({
    load: loadForServing(models.load, {
      log: silentLogger,
      maxQueuedRows: 100,
      maxQueuedTokens: 1000,
      onPass: () => {},
    }),
    limits: { maxModels: 1, memoryBytes: 1e6 },
    loadTimeoutMs: 60_000,
    roomTimeoutMs: 60_000,
    clock: new FakeClock(),
    log: silentLogger,
    observer: { onLoad: () => {}, onEvict: () => {} },
    shutdown: forever,
  });
  const scored: [number, number][] = [];
  const scoring: Scoring = {
    cache,
    limits: { maxRows: 4, maxTokens: 100 },
    metrics: { onScored: (prompt, values) => void scored.push([prompt, values]) },
  };
  return { models, cache, scoring, scored };
}

const request = (ids: number[][], fields: Partial<ScoreRequest> = {}): ScoreRequest => ({
  model: catalogModel('rl/a'),
  field: 'input_ids',
  rows: readRows('input_ids', ids),
  scoresPrompt: true,
  wantsNext: false,
  topK: 0,
  ...fields,
});

describe('score', () => {
  it('gives the values of every row in order, and counts them', async () => {
    const { scoring, scored, cache } = world();

    const { rows, usage } = await score(scoring, request([[1, 2, 3], [4], [5, 6]]), forever);

    const want = [[1, 2, 3], [4], [5, 6]].map(
      (ids) =>
        scoreRow({ tokens: Int32Array.from(ids), scoreFrom: 1, wantsNext: false, topK: 0 })
          .logprobs,
    );
    assert.deepEqual(
      rows.map(({ values }) => values.logprobs),
      want,
    );
    assert.deepEqual(usage, { promptTokens: 6, scoredTokens: 3 });
    assert.deepEqual(scored, [[6, 3]]);
    assert.equal(cache.info()[0]?.inFlight, 0);
  });

  it('does not run the model for rows without anything to score', async () => {
    const { scoring, models } = world();

    await score(scoring, request([[1, 2]], { scoresPrompt: false }), forever);

    assert.deepEqual(models.sessions[0]?.passes, []);
  });

  it('scores the next token alone where that is all that is asked', async () => {
    const { scoring } = world();

    const { rows } = await score(
      scoring,
      request([[1, 2]], { scoresPrompt: false, wantsNext: true }),
      forever,
    );

    assert.equal(rows[0]?.values.logprobs.length, 1);
  });

  it('tries once more with a new runner when one dies', async () => {
    const { scoring, models } = world();
    models.passGate = new Promise(() => {});
    const answer = score(scoring, request([[1, 2]]), forever);
    await until(() => models.sessions[0]?.passes.length === 1);

    models.passGate = Promise.resolve();
    models.sessions[0]?.die();

    assert.equal((await answer).rows.length, 1);
    assert.equal(models.sessions.length, 2);
  });

  it('does not try a third time', async () => {
    const { scoring, models } = world();
    models.passGate = new Promise(() => {});
    const answer = assert.rejects(score(scoring, request([[1, 2]]), forever), {
      code: 'RUNNER_DIED',
    });

    for (const n of [0, 1]) {
      await until(() => models.sessions[n]?.passes.length === 1);
      models.sessions[n]?.die();
    }

    await answer;
    assert.equal(models.sessions.length, 2);
  });

  it('keeps the model leased while it runs, and not after the client left', async () => {
    const { scoring, models, cache } = world();
    models.passGate = new Promise(() => {});
    const client = new AbortController();
    const gone = new Error('gone');

    const left = assert.rejects(score(scoring, request([[1, 2]]), client.signal), gone);
    await until(() => models.sessions[0]?.passes.length === 1);
    assert.equal(cache.info()[0]?.inFlight, 1);
    client.abort(gone);
    await left;
    await settle();

    assert.equal(cache.info()[0]?.inFlight, 0);
  });

  it('refuses what no queue could hold, before it loads anything', async () => {
    const { scoring, models } = world();
    const five = [[1], [1], [1], [1], [1]];

    await assert.rejects(score(scoring, request(five), forever), { code: 'BODY_TOO_LARGE' });

    assert.deepEqual(models.loads, []);
  });

  it('never answers with a value that is no number', async () => {
    const { scoring, models, cache } = world();
    (await cache.acquire(catalogModel('rl/a'), forever))[Symbol.dispose]();
    const [session] = models.sessions;
    assert.ok(session);
    const broken: ScoredRow = {
      logprobs: Float32Array.of(Number.NaN),
      ranks: new Int32Array(),
      topIds: new Int32Array(),
      topLogprobs: new Float32Array(),
      k: 0,
    };
    session.score = async () => [broken];

    await assert.rejects(score(scoring, request([[1, 2]]), forever), {
      code: 'SCORE_NOT_A_NUMBER',
    });
  });

  it('refuses rows that the model cannot take', async () => {
    const { scoring } = world();

    await assert.rejects(score(scoring, request([[1, 64]]), forever), {
      code: 'TOKEN_OUT_OF_RANGE',
    });
    await assert.rejects(score(scoring, request([Array<number>(65).fill(1)]), forever), {
      code: 'SEQUENCE_TOO_LONG',
    });
  });
});
