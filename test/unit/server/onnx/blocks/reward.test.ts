import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rewardHead } from '../../../../../server/onnx/blocks/reward.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import {
  array,
  floats,
  integers,
  largestDifference,
  multiply,
  noise,
  runGraph,
  scopeOf,
  weightsOf,
} from '../../../../support/run-graph.ts';

const [n, h] = [5, 6];
const hidden = noise(n * h, 1);

describe('rewardHead', () => {
  for (const labels of [1, 3]) {
    it(`gives ${labels} for the last token of each row`, async () => {
      const score = noise(labels * h, 2);
      const tape = Tape.start('/model');
      const x = tape.input({ name: 'x', type: 'float32', shape: ['n', h] });
      const scope = scopeOf(tape, weightsOf({ 'score.weight': array([labels, h], score) }));
      rewardHead(scope, x, { name: 'score', rows: labels, columns: h });

      const { rewards } = await runGraph(tape.finish(), {
        x: floats([n, h], hidden),
        last: integers([2], [4, 1]),
      });

      const rows = [4, 1].flatMap((at) => [...hidden.subarray(at * h, (at + 1) * h)]);
      assert.deepEqual(rewards!.dims, [2, labels]);
      assert.ok(largestDifference(multiply(rows, score, h), rewards!.data) < 1e-6, 'differs');
    });
  }
});
