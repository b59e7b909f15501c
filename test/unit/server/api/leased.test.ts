import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeLoaded, type RowsRequest, withModel } from '../../../../server/api/leased.ts';
import { readRows } from '../../../../server/api/rows.ts';
import type { LoadedModel } from '../../../../server/model/loaded.ts';
import { settle } from '../../../support/clock.ts';
import { scoreAll } from '../../../support/engine-kit.ts';
import { forever, scoringKit } from '../../../support/scoring-kit.ts';
import { catalogModel, until } from '../../../support/server-kit.ts';

const request = (ids: number[][]): RowsRequest => ({
  model: catalogModel('rl/a'),
  field: 'input_ids',
  rows: readRows('input_ids', ids),
});

type Kit = ReturnType<typeof scoringKit>;

/** The rows of the answer. */
const ask = (scoring: Kit['scoring'], ids: number[][], signal = forever) =>
  withModel(
    scoring,
    request(ids),
    async ({ scores }: LoadedModel, tokens) => {
      assert.ok(scores, 'it is a language model');
      return scores.submit({ rows: tokens.map((row) => scoreAll(row)) }, signal);
    },
    signal,
  );

describe('withModel', () => {
  it('tries once more with a new runner when one dies', async () => {
    const { scoring, models } = scoringKit();
    models.passGate = new Promise(() => {});
    const answer = ask(scoring, [[1, 2]]);
    await until(() => models.sessions[0]?.passes.length === 1);

    models.passGate = Promise.resolve();
    models.sessions[0]?.die();

    assert.equal((await answer).length, 1);
    assert.equal(models.sessions.length, 2);
  });

  it('tries those again too that waited behind the pass that died', async () => {
    const { scoring, models } = scoringKit();
    models.passGate = new Promise(() => {});
    const long = Array.from({ length: 64 }, () => 1);
    const answers = Array.from({ length: 8 }, () => {
      return ask(scoring, [long, long, long]); // more than one pass holds
    });
    await until(() => models.sessions[0]?.passes.length === 1);

    models.passGate = Promise.resolve();
    models.sessions[0]?.die();

    const rows = await Promise.all(answers.map(async (answer) => (await answer).length));
    assert.deepEqual(rows, Array(8).fill(3));
    assert.equal(models.sessions.length, 2);
  });

  it('does not try a third time', async () => {
    const { scoring, models } = scoringKit();
    models.passGate = new Promise(() => {});
    const answer = assert.rejects(ask(scoring, [[1, 2]]), {
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
    const { scoring, models, cache } = scoringKit();
    models.passGate = new Promise(() => {});
    const client = new AbortController();
    const gone = new Error('gone');

    const left = assert.rejects(ask(scoring, [[1, 2]], client.signal), gone);
    await until(() => models.sessions[0]?.passes.length === 1);
    assert.equal(cache.info()[0]?.inFlight, 1);
    client.abort(gone);
    await left;
    await settle();

    assert.equal(cache.info()[0]?.inFlight, 0);
  });

  it('refuses what no queue could hold, before it loads anything', async () => {
    const { scoring, models } = scoringKit();
    const five = [[1], [1], [1], [1], [1]];

    await assert.rejects(ask(scoring, five), { code: 'BODY_TOO_LARGE' });

    assert.deepEqual(models.loads, []);
  });

  it('refuses rows that the model cannot take', async () => {
    const { scoring } = scoringKit();

    await assert.rejects(ask(scoring, [[1, 64]]), {
      code: 'TOKEN_OUT_OF_RANGE',
    });
    await assert.rejects(ask(scoring, [Array<number>(65).fill(1)]), {
      code: 'SEQUENCE_TOO_LONG',
    });
  });
});

describe('describeLoaded', () => {
  const described = async (options: Parameters<typeof scoringKit>[0]) => {
    const { cache } = scoringKit(options);
    using lease = await cache.acquire(catalogModel('rl/a', { quantization: 'Int8' }), forever);
    return describeLoaded(lease.value);
  };
  const deltas = { meanAbsDelta: 0.1, maxAbsDelta: 0.5, tokens: 9 };
  const told = { mean_abs_delta: 0.1, max_abs_delta: 0.5, tokens: 9 };

  it('says which model answered, and how far it is from its checkpoint', async () => {
    assert.deepEqual(await described({ fidelity: { kl: 0.01, ...deltas } }), {
      model: 'rl/a',
      revision: 'revision-of-rl/a',
      digest: 'sha256:0',
      quantization: 'Int8',
      dtype: 'float32',
      fidelity: { kl: 0.01, ...told },
    });
  });

  it('knows of no distance where nothing was converted, and of no divergence of rewards', async () => {
    const plain = JSON.parse(JSON.stringify(await described({})));
    const rewards = JSON.parse(
      JSON.stringify(await described({ labels: ['a'], fidelity: deltas })),
    );

    assert.equal(plain.fidelity, null);
    assert.deepEqual(rewards.fidelity, told);
  });
});
