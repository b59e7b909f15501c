import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addAndNormalize, type Norm, normalize } from '../../../../../server/onnx/blocks/norm.ts';
import {
  array,
  floats,
  largestDifference,
  noise,
  runBlock,
  scopeOf,
  weightsOf,
} from '../../../../support/run-graph.ts';

const [n, length, epsilon] = [3, 20, 0.01];
const weight = noise(length, 9);
const bias = noise(length, 8);
const weights = weightsOf({
  'norm.weight': array([length], weight),
  'norm.bias': array([length], bias),
});

/** In float64. */
function plainly(x: Float32Array, { kind, isShifted = false }: Norm): number[] {
  return Array.from(x, (value, at) => {
    const i = at % length;
    const row = x.subarray(at - i, at - i + length);
    const mean = kind === 'Layer' ? row.reduce((sum, v) => sum + v, 0) / length : 0;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / length;
    const normed = (value - mean) / Math.sqrt(variance + epsilon);
    return normed * (weight[i]! + (isShifted ? 1 : 0)) + (kind === 'Layer' ? bias[i]! : 0);
  });
}

const norms: readonly { what: string; norm: Norm }[] = [
  { what: 'root mean square', norm: { name: 'norm', kind: 'RMS', length, epsilon } },
  {
    what: 'root mean square with a weight that lacks one',
    norm: { name: 'norm', kind: 'RMS', length, epsilon, isShifted: true },
  },
  { what: 'layer', norm: { name: 'norm', kind: 'Layer', length, epsilon } },
];

for (const { what, norm } of norms) {
  describe(`a ${what} norm`, () => {
    it('normalizes each row', async () => {
      const x = noise(n * length, 1);

      const { y } = await runBlock({ x: floats([n, length], x) }, (tape, inputs) => ({
        y: normalize(scopeOf(tape, weights), inputs.x, norm),
      }));

      assert.ok(largestDifference(plainly(x, norm), y!.data) < 2e-6, 'differs from the formula');
    });

    it('gives a sum, and is that of the sum', async () => {
      const [a, b] = [noise(n * length, 1), noise(n * length, 2)];
      const feeds = { a: floats([n, length], a), b: floats([n, length], b) };

      const { normed, sum } = await runBlock(feeds, (tape, inputs) =>
        addAndNormalize(scopeOf(tape, weights), inputs.a, inputs.b, norm),
      );

      const expected = a.map((value, i) => value + b[i]!);
      assert.ok(largestDifference(expected, sum!.data) < 1e-6, 'the sum differs');
      assert.ok(
        largestDifference(plainly(expected, norm), normed!.data) < 2e-6,
        'the norm differs',
      );
    });
  });
}

it('a batch without tokens stays empty', async () => {
  const norm: Norm = { name: 'norm', kind: 'RMS', length, epsilon };

  const { y } = await runBlock({ x: floats([0, length], []) }, (tape, inputs) => ({
    y: normalize(scopeOf(tape, weights), inputs.x, norm),
  }));

  assert.deepEqual(y, { dims: [0, length], data: [] });
});
