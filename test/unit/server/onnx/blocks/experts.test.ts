import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Experts, experts } from '../../../../../server/onnx/blocks/experts.ts';
import type { Tensor } from '../../../../../server/onnx/graph.ts';
import {
  array,
  floats,
  largestDifference,
  multiply,
  noise,
  runBlock,
  scopeOf,
  weightsOf,
} from '../../../../support/run-graph.ts';

const [h, m] = [6, 5];

interface Case {
  readonly n: number;
  readonly count: number;
  readonly perToken: number;
  readonly isNormalized: boolean;
  /** Added to the first number of every token, on which the router alone looks: who is popular. */
  readonly router: Float32Array;
}

const expertNames = ['gate', 'up', 'down'] as const;
const expertValues = (e: number) => {
  const [gate, up, down] = expertNames.map((_, i) => noise(h * m, 10 * e + i + 3));
  return { gate: gate!, up: up!, down: down! };
};

function layerOf({ count, perToken, isNormalized }: Case): Experts {
  return {
    kind: 'Experts',
    router: { name: 'router', rows: count, columns: h },
    experts: Array.from({ length: count }, (_, e) => ({
      kind: 'Gated',
      gate: { name: `${e}.gate`, rows: m, columns: h },
      up: { name: `${e}.up`, rows: m, columns: h },
      down: { name: `${e}.down`, rows: h, columns: m },
      activation: 'ReLU',
    })),
    perToken,
    isNormalized,
  };
}

async function run(x: Float32Array, given: Case): Promise<number[]> {
  const tensors: Record<string, Tensor> = {
    'router.weight': array([given.count, h], given.router),
  };
  for (let e = 0; e < given.count; e++) {
    const { gate, up, down } = expertValues(e);
    tensors[`${e}.gate.weight`] = array([m, h], gate);
    tensors[`${e}.up.weight`] = array([m, h], up);
    tensors[`${e}.down.weight`] = array([h, m], down);
  }
  const { y } = await runBlock({ x: floats([given.n, h], x) }, (tape, inputs) => ({
    y: experts(scopeOf(tape, weightsOf(tensors)), inputs.x, layerOf(given)),
  }));
  return y!.data;
}

/** Token by token, in float64. */
function plainly(x: Float32Array, { n, perToken, isNormalized, router }: Case) {
  const chosen = new Set<number>();
  const rows = Array.from({ length: n }, (_, t) => {
    const row = x.subarray(t * h, (t + 1) * h);
    const weights = multiply(row, router, h).map(Math.exp);
    const total = weights.reduce((sum, value) => sum + value, 0);
    const shares = weights.map((weight, e) => ({ share: weight / total, e }));
    const picked = shares.sort((a, b) => b.share - a.share).slice(0, perToken);
    const whole = isNormalized ? picked.reduce((sum, { share }) => sum + share, 0) : 1;
    const outputs = picked.map(({ share, e }) => {
      chosen.add(e);
      const { gate, up, down } = expertValues(e);
      const ups = multiply(row, up, h);
      const inner = multiply(row, gate, h).map((value, i) => Math.max(0, value) * ups[i]!);
      return multiply(inner, down, m).map((value) => (value * share) / whole);
    });
    return Array.from({ length: h }, (_, i) => outputs.reduce((sum, row) => sum + row[i]!, 0));
  });
  return { values: rows.flat(), chosen };
}

const spread = (count: number) => noise(count * h, 2).map((value) => 3 * value);
/** Every token goes to expert 1, then 0. */
const popular = Float32Array.from({ length: 4 * h }, (_, i) =>
  i % h === 0 ? [5, 9, 0, -5][i / h]! : 0,
);

const cases: readonly (Case & { what: string })[] = [
  { what: 'two of four', n: 7, count: 4, perToken: 2, isNormalized: true, router: spread(4) },
  { what: 'one of three', n: 7, count: 3, perToken: 1, isNormalized: true, router: spread(3) },
  { what: 'all', n: 5, count: 3, perToken: 3, isNormalized: false, router: spread(3) },
  {
    what: 'shares as they are',
    n: 7,
    count: 8,
    perToken: 3,
    isNormalized: false,
    router: spread(8),
  },
  {
    what: 'experts nobody chose',
    n: 4,
    count: 4,
    perToken: 2,
    isNormalized: true,
    router: popular,
  },
  { what: 'one token', n: 1, count: 4, perToken: 2, isNormalized: true, router: spread(4) },
];

describe('experts', () => {
  for (const { what, ...given } of cases) {
    it(`are weighted by what the router gives them: ${what}`, async () => {
      const x = noise(given.n * h, 1).map((value, i) => (i % h === 0 ? 1 : value));
      const { values, chosen } = plainly(x, given);

      const found = await run(x, given);

      if (given.router === popular)
        assert.deepEqual(
          [...chosen].sort((a, b) => a - b),
          [0, 1],
        );
      assert.ok(largestDifference(values, found) < 2e-6, 'differs');
    });
  }
});
