import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Forward, passagesOf } from '../../../../../server/model/convert/forward.ts';
import { openMultiplier } from '../../../../../server/model/convert/multiply.ts';
import { Engine } from '../../../../../server/model/engine.ts';
import { Feeder } from '../../../../../server/model/feeds.ts';
import { checkpointWeights } from '../../../../../server/model/weights.ts';
import { rewardGraph } from '../../../../../server/onnx/arch/segments.ts';
import { rewardOutputs } from '../../../../../server/onnx/blocks/reward.ts';
import { openModel, randomRows } from '../../../../support/convert-kit.ts';
import { neverAborted } from '../../../../support/engine-kit.ts';
import { largestDifference } from '../../../../support/run-graph.ts';

describe('passagesOf', () => {
  it('keeps the order of rows, puts few enough in each, and one that is longer alone', async () => {
    const { blueprint } = await openModel('llama');
    const rows = randomRows([300, 200, 100, 750, 5], 256);

    const passages = passagesOf(blueprint, rows);

    assert.deepEqual(
      passages.map((passage) => passage.rows.map(({ length }) => length)),
      [[300, 200], [100], [750], [5]],
    );
  });
});

describe('Forward', () => {
  it('gives, piece by piece, what the whole graph gives', async () => {
    const { blueprint, sources } = await openModel('reward-llama');
    const weights = checkpointWeights(sources);
    const passages = passagesOf(blueprint, randomRows([40, 7, 90], 256));
    const forward = new Forward(blueprint, 1);
    const [passage] = passages;
    const feeder = new Feeder(blueprint.decoder);
    const whole = await Engine.load(blueprint.graph(weights), { threads: 1 });
    const expected = await whole.run(feeder.rewards(passage!.packed));

    let hidden = await forward.embed(passages, weights, neverAborted);
    for (const index of blueprint.decoder.layers.keys()) {
      hidden = await forward.layer(index, passages, { weights, hidden }, neverAborted);
    }

    const head = await Engine.load(rewardGraph(blueprint.decoder, weights), { threads: 1 });
    const data = hidden[0]!;
    const shape = [data.length / blueprint.decoder.hidden, blueprint.decoder.hidden];
    const found = await head.run({
      ...feeder.rewards(passage!.packed),
      hidden: { type: 'float32', data, shape },
    });
    const difference = largestDifference(
      found.floats(rewardOutputs.rewards),
      expected.floats(rewardOutputs.rewards),
    );
    assert.ok(difference < 1e-5, `the pieces differ by ${difference}`);
    await Promise.all([whole.release(), head.release()]);
  });

  it('sums what each matrix sees of both models, over all passages', async () => {
    const { blueprint, sources } = await openModel('llama');
    const weights = checkpointWeights(sources);
    const forward = new Forward(blueprint, 1);
    const rows = randomRows([900, 300], 256);
    await using multiplier = await openMultiplier(1);
    const observe = async (some: Int32Array[]) => {
      const passages = passagesOf(blueprint, some);
      const hidden = await forward.embed(passages, weights, neverAborted);
      const other = hidden.map((values) => values.map((value) => 2 * value));
      const through = { weights, hidden };
      const seen = await forward.observe(
        0,
        passages,
        { ...through, other, addSquare: multiplier.addSquare },
        neverAborted,
      );
      const plain = await forward.layer(0, passages, through, neverAborted);
      return { ...seen, plain };
    };

    const both = await observe(rows);
    const [first, second] = [await observe([rows[0]!]), await observe([rows[1]!])];

    const names = both.observed.map(({ layers }) =>
      layers.map(({ name }) => name.split('.').at(-1)),
    );
    assert.deepEqual(names, [
      ['q_proj', 'k_proj', 'v_proj'],
      ['o_proj'],
      ['gate_proj', 'up_proj'],
      ['down_proj'],
    ]);
    assert.deepEqual(both.hidden, both.plain);
    for (const [i, { own, across }] of both.observed.entries()) {
      for (const [name, sum] of Object.entries({ own, across })) {
        const key = name as 'own' | 'across';
        const parts = sum.values.map(
          (_, at) => first.observed[i]![key].values[at]! + second.observed[i]![key].values[at]!,
        );
        const size = sum.values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
        const difference = largestDifference(sum.values, parts) / size;
        assert.ok(difference < 1e-4, `${name} of ${sum.columns} columns differs by ${difference}`);
      }
    }
    // The norm before q, k and v takes the factor away: there both see the same.
    const [{ own, across }] = both.observed as [(typeof both.observed)[0]];
    const size = own.values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const difference = largestDifference(own.values, across.values) / size;
    assert.ok(difference < 1e-3, `behind a norm they differ by ${difference}`);
  });

  it('ends between two passages when it is given up', async () => {
    const { blueprint, sources } = await openModel('llama');
    const passages = passagesOf(blueprint, randomRows([10], 256));
    const reason = new Error('given up');
    const forward = new Forward(blueprint, 1);

    const fails = forward.embed(passages, checkpointWeights(sources), AbortSignal.abort(reason));

    await assert.rejects(fails, reason);
  });
});
