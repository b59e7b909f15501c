import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Attention,
  attention,
  type Heads,
} from '../../../../../server/onnx/blocks/attention.ts';
import type { Norm } from '../../../../../server/onnx/blocks/norm.ts';
import { rectanglesLayout } from '../../../../../server/onnx/blocks/rectangles.ts';
import { frequencies, type Rope, RopeTable } from '../../../../../server/onnx/blocks/rope.ts';
import type { Tensor } from '../../../../../server/onnx/graph.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import { cpuTarget, type Target } from '../../../../../server/onnx/target.ts';
import {
  array,
  floats,
  integers,
  largestDifference,
  longs,
  multiply,
  noise,
  runGraph,
  scopeOf,
  weightsOf,
} from '../../../../support/run-graph.ts';

const hidden = 10;
const identity = (size: number) =>
  Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));

/** Rows of tokens, the packed indices of each in order. A token may stand in several rows as their common start. */
type Rows = readonly (readonly number[])[];

/** How the graph is to compute them: see attentionInputs. */
interface Plan {
  readonly rectangles: readonly (readonly [number, number, number, number, number])[];
  readonly slots: readonly number[];
  readonly past: readonly number[];
  readonly places: readonly number[];
}

/** One rectangle for each row. */
function rowByRow(rows: Rows): Plan {
  const slots = rows.flat();
  let first = 0;
  const rectangles = rows.map((row) => {
    first += row.length;
    return [1, row.length, 0, first - row.length, 0] as const;
  });
  return { rectangles, slots, past: [], places: slots.map((_, i) => slots.indexOf(i)) };
}

interface Given extends Heads {
  readonly rows: Rows;
  readonly plan: Plan;
  readonly rope?: Rope;
  readonly changes?: Partial<Attention>;
}

/** q, k and v are what linear layers make of noise; the output layer is the identity, so that it shows what is attended. */
function parts({ heads, kvHeads, headDim, rows }: Given) {
  const n = Math.max(...rows.flat()) + 1;
  const [width, kvWidth] = [heads * headDim, kvHeads * headDim];
  const weights = {
    q: noise(width * hidden, 1),
    k: noise(kvWidth * hidden, 2),
    v: noise(kvWidth * hidden, 3),
  };
  return { n, width, kvWidth, weights, x: noise(n * hidden, 4).map((value) => 2 * value) };
}

async function run(
  given: Given,
  more: Record<string, Tensor> = {},
  target = cpuTarget,
): Promise<number[]> {
  const { heads, kvHeads, headDim, rows, plan, rope } = given;
  const { n, width, kvWidth, weights, x } = parts(given);
  const tape = Tape.start('/m');
  const input = tape.input({ name: 'x', type: 'float32', shape: ['tokens', hidden] });
  const port = (name: string) => ({ name, type: 'float32', shape: ['tokens', 'angles'] }) as const;
  const rotation = rope && {
    of: 'Tokens' as const,
    cos: tape.input(port('cos')),
    sin: tape.input(port('sin')),
    dim: rope.dim,
  };
  const layout = rectanglesLayout(tape);
  const tensors = {
    'q.weight': array([width, hidden], weights.q),
    'k.weight': array([kvWidth, hidden], weights.k),
    'v.weight': array([kvWidth, hidden], weights.v),
    'o.weight': array([width, width], identity(width)),
    ...more,
  };
  const layer: Attention = {
    heads,
    kvHeads,
    headDim,
    qkv: {
      kind: 'Separate',
      q: { name: 'q', rows: width, columns: hidden },
      k: { name: 'k', rows: kvWidth, columns: hidden },
      v: { name: 'v', rows: kvWidth, columns: hidden },
    },
    output: { name: 'o', rows: width, columns: width },
    ...given.changes,
  };
  const y = attention(scopeOf(tape, weightsOf(tensors), target), input, layer, {
    layout,
    rotation,
  });
  tape.output({ name: 'y', type: 'float32', shape: ['tokens', 'h'] }, y);
  const positions = new Int32Array(n);
  for (const row of rows) row.forEach((token, position) => (positions[token] = position));
  const angles =
    rope &&
    new RopeTable(rope).rows(
      positions,
      positions.map((p) => p + 1),
    );
  const outputs = await runGraph(tape.finish(), {
    x: floats([n, hidden], x),
    rectangles: longs([plan.rectangles.length, 5], plan.rectangles.flat()),
    slots: integers([plan.slots.length], plan.slots),
    past: integers([plan.past.length], plan.past),
    places: integers([plan.places.length], plan.places),
    ...(angles && {
      cos: floats([n, angles.cos.length / n], angles.cos),
      sin: floats([n, angles.sin.length / n], angles.sin),
    }),
  });
  return outputs['y']!.data;
}

const norm = (name: string, length: number): Norm => ({
  name,
  length,
  kind: 'RMS',
  epsilon: 1e-6,
});
const normWeight = ({ name, length }: Norm) => noise(length, name.charCodeAt(0));

function normalized(x: number[], norm: Norm | undefined): number[] {
  if (!norm) return x;
  const { length, epsilon } = norm;
  const weight = normWeight(norm);
  return x.map((value, at) => {
    const row = x.slice(at - (at % length), at - (at % length) + length);
    const mean = row.reduce((sum, v) => sum + v * v, 0) / length;
    return (value / Math.sqrt(mean + epsilon)) * weight[at % length]!;
  });
}

function rotated(x: number[], position: number, rope: Rope | undefined): number[] {
  if (!rope) return x;
  const half = rope.dim / 2;
  const turns = frequencies(rope);
  return x.map((value, i) => {
    if (i >= rope.dim) return value;
    const angle = position * turns[i % half]!;
    const other = i < half ? -x[i + half]! : x[i - half]!;
    return value * Math.cos(angle) + other * Math.sin(angle);
  });
}

/** Row by row and head by head, in float64. */
function plainly(given: Given): Float64Array {
  const { heads, kvHeads, headDim, rows, rope, changes = {} } = given;
  const { n, width, weights, x } = parts(given);
  const { scale = 1 / Math.sqrt(headDim), softcap, window = Infinity } = changes;
  const head = (values: number[], count: number, token: number, index: number) => {
    const start = (token * count + index) * headDim;
    return values.slice(start, start + headDim);
  };
  const q = normalized(multiply(x, weights.q, hidden), changes.qNorm);
  const k = normalized(multiply(x, weights.k, hidden), changes.kNorm);
  const v = multiply(x, weights.v, hidden);
  const found = new Float64Array(n * width);
  const attendOne = (row: readonly number[], at: number, index: number) => {
    const kvIndex = Math.floor((index * kvHeads) / heads);
    const query = rotated(head(q, heads, row[at]!, index), at, rope);
    const seen = row.slice(0, at + 1).map((token, position) => ({ token, position }));
    const near = seen.filter(({ position }) => at - position < window);
    const exps = near.map(({ token, position }) => {
      const key = rotated(head(k, kvHeads, token, kvIndex), position, rope);
      const logit = scale * query.reduce((sum, value, i) => sum + value * key[i]!, 0);
      return Math.exp(softcap ? softcap * Math.tanh(logit / softcap) : logit);
    });
    const total = exps.reduce((sum, value) => sum + value, 0);
    for (let i = 0; i < headDim; i++) {
      found[(row[at]! * heads + index) * headDim + i] = near.reduce(
        (sum, { token }, j) => sum + (exps[j]! / total) * head(v, kvHeads, token, kvIndex)[i]!,
        0,
      );
    }
  };
  for (const row of rows) {
    row.forEach((_, at) => {
      for (let index = 0; index < heads; index++) attendOne(row, at, index);
    });
  }
  return found;
}

const two: Rows = [
  [0, 1, 2, 3, 4],
  [5, 6, 7],
];
/** Two rows with their first three tokens in common: these are computed once, and stand before the rest of both. */
const shared: Rows = [
  [0, 1, 2, 3, 4, 5],
  [0, 1, 2, 6],
];
const sharing: Plan = {
  rectangles: [
    [1, 3, 0, 0, 0],
    [1, 3, 3, 3, 0],
    [1, 1, 3, 6, 3],
  ],
  slots: [0, 1, 2, 3, 4, 5, 6],
  past: [0, 1, 2, 0, 1, 2],
  places: [0, 1, 2, 3, 4, 5, 6],
};
const grouped = { heads: 4, kvHeads: 2 };

/** By the kernel for CPU, and in plain operators, as a device computes in float32. */
const targets: readonly Target[] = [cpuTarget, { provider: 'CUDA', type: 'float32' }];

async function assertAttends(given: Given): Promise<void> {
  for (const target of targets) {
    const found = await run(given, {}, target);
    assert.ok(largestDifference(plainly(given), found) < 1e-5, `differs for ${target.provider}`);
  }
}

describe('attention', () => {
  for (const headDim of [12, 20, 8, 80, 2, 16]) {
    it(`is causal, grouped and rotated with heads of ${headDim}`, async () => {
      const rope: Rope = { type: 'default', theta: 100, dim: headDim };

      await assertAttends({ ...grouped, headDim, rows: two, plan: rowByRow(two), rope });
    });
  }

  for (const kvHeads of [1, 4]) {
    it(`may have ${kvHeads} of 4 heads for keys and values`, async () => {
      await assertAttends({ heads: 4, kvHeads, headDim: 8, rows: two, plan: rowByRow(two) });
    });
  }

  it('may turn a part of each head only', async () => {
    const rope: Rope = { type: 'default', theta: 100, dim: 6 };

    await assertAttends({ ...grouped, headDim: 20, rows: two, plan: rowByRow(two), rope });
  });

  const options: readonly { what: string; changes: Partial<Attention> }[] = [
    { what: 'a window of one token', changes: { window: 1 } },
    { what: 'a window of three tokens', changes: { window: 3 } },
    { what: 'a window as long as a row', changes: { window: 5 } },
    { what: 'a scale of its own', changes: { scale: 0.05 } },
    { what: 'a soft cap', changes: { softcap: 0.7 } },
    { what: 'a scale, a soft cap and a window', changes: { scale: 1, softcap: 2, window: 2 } },
  ];
  const rope: Rope = { type: 'default', theta: 100, dim: 12 };
  for (const { what, changes } of options) {
    it(`may have ${what}`, async () => {
      const given = { ...grouped, headDim: 12, rope, changes };

      await assertAttends({ ...given, rows: two, plan: rowByRow(two) });
    });

    it(`may have ${what} over tokens before the rectangle`, async () => {
      const given = { ...grouped, headDim: 12, rope, changes };

      await assertAttends({ ...given, rows: shared, plan: sharing });
    });
  }

  it('computes rows of one length in one rectangle, and what fills it up is nobody’s output', async () => {
    // the second row is filled up with the first token
    const plan: Plan = {
      rectangles: [[2, 5, 0, 0, 0]],
      slots: [0, 1, 2, 3, 4, 5, 6, 7, 0, 0],
      past: [],
      places: [0, 1, 2, 3, 4, 5, 6, 7],
    };

    await assertAttends({ ...grouped, headDim: 16, rows: two, plan, rope: { ...rope, dim: 16 } });
  });

  it('places the output of each token wherever its slot is', async () => {
    const plan: Plan = {
      rectangles: [
        [1, 3, 0, 0, 0],
        [1, 5, 0, 3, 0],
      ],
      slots: [5, 6, 7, 0, 1, 2, 3, 4],
      past: [],
      places: [3, 4, 5, 6, 7, 0, 1, 2],
    };

    await assertAttends({ ...grouped, headDim: 8, rows: two, plan });
  });

  it('attends to nothing in a batch of one token but itself', async () => {
    await assertAttends({ ...grouped, headDim: 8, rows: [[0]], plan: rowByRow([[0]]) });
  });

  describe('with q, k and v in one matrix', () => {
    const given: Given = {
      heads: 4,
      kvHeads: 4,
      headDim: 12,
      rows: two,
      plan: rowByRow(two),
      rope,
    };
    const { weights, width } = parts(given);
    const all = { name: 'qkv', rows: 3 * width, columns: hidden };
    const bias = { 'qkv.bias': array([3 * width], new Float32Array(3 * width)) };

    it('takes all of q, then all of k, then all of v', async () => {
      const values = Float32Array.of(...weights.q, ...weights.k, ...weights.v);
      const tensors = { 'qkv.weight': array([3 * width, hidden], values), ...bias };
      const qkv = { kind: 'Fused', qkv: { ...all, hasBias: true } } as const;

      const found = await run({ ...given, changes: { qkv } }, tensors);

      assert.ok(largestDifference(plainly(given), found) < 1e-5, 'differs');
    });

    it('takes q, k and v of one head after another', async () => {
      const run12 = 12 * hidden;
      const ofHead = (w: Float32Array, head: number) =>
        w.subarray(head * run12, (head + 1) * run12);
      const values = [0, 1, 2, 3].flatMap((head) =>
        [weights.q, weights.k, weights.v].flatMap((w) => [...ofHead(w, head)]),
      );
      const tensors = { 'qkv.weight': array([3 * width, hidden], Float32Array.from(values)) };
      const qkv = { kind: 'Interleaved', qkv: all } as const;

      const found = await run({ ...given, changes: { qkv } }, tensors);

      assert.ok(largestDifference(plainly(given), found) < 1e-5, 'differs');
    });

    it('takes fewer keys and values than queries', async () => {
      const some: Given = { ...given, kvHeads: 2 };
      const { weights, kvWidth } = parts(some);
      const rows = width + 2 * kvWidth;
      const values = Float32Array.of(...weights.q, ...weights.k, ...weights.v);
      const tensors = { 'qkv.weight': array([rows, hidden], values) };
      const qkv = { kind: 'Fused', qkv: { ...all, rows } } as const;

      const found = await run({ ...some, changes: { qkv } }, tensors);

      assert.ok(largestDifference(plainly(some), found) < 1e-5, 'differs');
    });
  });

  for (const { what, length, kvLength } of [
    { what: 'each head', length: 8, kvLength: 8 },
    { what: 'all heads at once', length: 32, kvLength: 16 },
  ]) {
    it(`may normalize q and k over ${what}`, async () => {
      const changes = { qNorm: norm('q_norm', length), kNorm: norm('k_norm', kvLength) };
      const given: Given = { ...grouped, headDim: 8, rows: shared, plan: sharing, changes };
      const tensors = {
        'q_norm.weight': array([length], normWeight(changes.qNorm)),
        'k_norm.weight': array([kvLength], normWeight(changes.kNorm)),
      };

      assert.ok(largestDifference(plainly(given), await run(given, tensors)) < 1e-5, 'differs');
    });
  }
});
