import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  joined,
  keptShape,
  linear,
  projection,
  reordered,
} from '../../../../../server/onnx/blocks/linear.ts';
import type { Linear, Weight, Weights } from '../../../../../server/onnx/blocks/weights.ts';
import type { Tensor } from '../../../../../server/onnx/graph.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import type { Target } from '../../../../../server/onnx/target.ts';
import {
  bfloat16Tensor,
  bfloat16Values,
  blockWeight,
  normalFloatWeight,
} from '../../../../support/coded-weights.ts';
import {
  array,
  floats,
  largestDifference,
  longs,
  multiply,
  noise,
  runBlock,
  scopeOf,
  weightsOf,
} from '../../../../support/run-graph.ts';

const n = 3;
const N = 5;

const bias = noise(N, 3);
const holding = (weight: Weight): Weights => ({
  ...weightsOf({ 'layer.bias': array([N], bias) }),
  matrix: () => weight,
});

async function multiplied(weights: Weights, layer: Linear, x: Float32Array): Promise<number[]> {
  const { y } = await runBlock({ x: floats([n, layer.columns], x) }, (tape, inputs) => ({
    y: linear(scopeOf(tape, weights), inputs.x, layer),
  }));
  return y!.data;
}

describe('linear', () => {
  const columns = 40;
  const layer: Linear = { name: 'layer', rows: N, columns };
  const x = noise(n * columns, 1);
  const w = noise(N * columns, 2);
  const withBias = (product: number[]) => product.map((value, i) => value + bias[i % N]!);

  it('multiplies by the transposed weight and adds the bias', async () => {
    const weights = holding({ format: 'Float', tensor: array([N, columns], w) });

    const found = await multiplied(weights, { ...layer, hasBias: true }, x);

    assert.ok(largestDifference(withBias(multiply(x, w, columns)), found) < 1e-5, 'differs');
  });

  it('multiplies by a weight that is stored the other way round', async () => {
    const turned = Float32Array.from({ length: w.length }, (_, at) => {
      return w[(at % N) * columns + Math.floor(at / N)]!;
    });
    const weights = weightsOf({ 'layer.weight': array([columns, N], turned) });

    const found = await multiplied(weights, { ...layer, isTransposed: true }, x);

    assert.ok(largestDifference(multiply(x, w, columns), found) < 1e-5, 'differs');
  });

  it('computes in float32 with a bfloat16 weight', async () => {
    const weights = holding({ format: 'Float', tensor: bfloat16Tensor(w, [N, columns]) });

    const found = await multiplied(weights, layer, x);

    const expected = multiply(x, bfloat16Values(w), columns);
    assert.ok(largestDifference(expected, found) < 1e-5, 'differs');
  });

  for (const bits of [4, 8] as const) {
    it(`computes with what blocks of ${bits} bits stand for, also where the last is not full`, async () => {
      const { weight, values } = blockWeight(bits, { rows: N, columns, blockSize: 32 });

      const found = await multiplied(holding(weight), { ...layer, hasBias: true }, x);

      const expected = withBias(multiply(x, values, columns));
      assert.ok(largestDifference(expected, found) < 2e-5 * 2 ** bits, 'differs');
    });
  }

  it('may round activations, and is near then', async () => {
    const { weight, values } = blockWeight(4, { rows: N, columns: 64, blockSize: 32 });
    const x = noise(n * 64, 4);
    const rounding = holding({ ...weight, roundsActivations: true });

    const found = await multiplied(rounding, { ...layer, columns: 64 }, x);

    assert.ok(largestDifference(multiply(x, values, 64), found) < 0.3, 'is far off');
  });

  it('computes with what normal floats stand for', async () => {
    const { weight, values } = normalFloatWeight(N, 128);
    const x = noise(n * 128, 4);

    const found = await multiplied(holding(weight), { ...layer, columns: 128, hasBias: true }, x);

    const expected = withBias(multiply(x, values, 128));
    assert.ok(largestDifference(expected, found) < 1e-5, 'differs');
  });

  it('tells its input to whoever observes, once', () => {
    const tape = Tape.start('/m');
    const seen: string[] = [];
    const scope = {
      ...scopeOf(tape, holding({ format: 'Float', tensor: array([N, columns], w) })),
      observe: (layer: Linear, input: { name: string }) => seen.push(`${layer.name} ${input.name}`),
    };
    const input = tape.input({ name: 'x', type: 'float32', shape: ['n', columns] });

    linear(scope, input, layer);

    assert.deepEqual(seen, ['layer x']);
  });
});

describe('projection', () => {
  it('keeps its constants in the outer graph', () => {
    const tape = Tape.start('/m');
    const weights = weightsOf({ 'other.weight': array([N, 2], noise(2 * N)) });
    const layer: Linear = { name: 'head', rows: N, columns: 2, tiedTo: 'other.weight' };
    const project = projection(scopeOf(tape, weights), layer);
    const port = { type: 'float32', shape: ['n', 2] } as const;

    const inner = tape.subgraph('body', { inputs: { x: port }, outputs: { y: port } }, (at, x) => ({
      y: project(at, x.x),
    }));

    assert.deepEqual([...tape.finish().constants.keys()], ['other.weight']);
    assert.equal(inner.constants.size, 0);
    assert.deepEqual(
      inner.nodes.map(({ type }) => type),
      ['Gemm', 'Identity'],
    );
  });
});

describe('projection that is used many times', () => {
  const columns = 64;
  const { weight, values } = blockWeight(8, { rows: N, columns, blockSize: 32 });
  const layer: Linear = { name: 'layer', rows: N, columns, hasBias: true };
  const target: Target = { provider: 'CUDA', type: 'float32' };

  it('dequantizes the weight once for CUDA, to what its codes stand for', async () => {
    const x = noise(n * columns, 4);

    const given = { x: floats([n, columns], x) };
    const kept = { [keptShape.name]: longs([3], [0, 0, 0]) };
    const record: Parameters<typeof runBlock<typeof given>>[1] = (tape, inputs) => {
      const scope = scopeOf(tape, holding(weight), target);
      return { y: projection(scope, layer, { isRepeated: true })(tape, inputs.x) };
    };
    const { y } = await runBlock(given, record, kept);

    const expected = multiply(x, values, columns).map((value, i) => value + bias[i % N]!);
    assert.ok(largestDifference(expected, y!.data) < 5e-3, 'differs');
  });

  it('leaves nothing of it to be computed when the session is made', () => {
    const tape = Tape.start('/m');

    projection(scopeOf(tape, holding(weight), target), layer, { isRepeated: true });

    const { nodes } = tape.finish();
    const first = nodes.find(({ inputs }) => inputs[0] === 'layer.weight.codes');
    assert.deepEqual(first?.inputs, ['layer.weight.codes', keptShape.name]);
  });

  it('leaves it in its codes on the CPU', () => {
    const tape = Tape.start('/m');

    projection(scopeOf(tape, holding(weight)), layer, { isRepeated: true });

    assert.ok(!tape.finish().nodes.some(({ type }) => type === 'Sub'), 'is dequantized');
  });
});

describe('joined', () => {
  const columns = 64;
  const x = noise(n * columns, 1);
  const [first, second] = [noise(N * columns, 2), noise(2 * columns, 5)];
  const layers: Linear[] = [
    { name: 'a', rows: N, columns },
    { name: 'b', rows: 2, columns },
  ];
  const of = (weights: Readonly<Record<string, Weight>>, more: Record<string, Tensor> = {}) => ({
    ...weightsOf(more),
    matrix: (name: string) => weights[name]!,
  });
  const run = async (weights: Weights, asked = layers): Promise<number[]> => {
    const { y } = await runBlock({ x: floats([n, columns], x) }, (tape, inputs) => ({
      y: joined(scopeOf(tape, weights), asked)!(tape, inputs.x),
    }));
    return y!.data;
  };
  const beside = (a: number[], b: number[]) =>
    Array.from({ length: n }, (_, i) => [
      ...a.slice(i * N, (i + 1) * N),
      ...b.slice(2 * i, 2 * (i + 1)),
    ]).flat();
  const float = (values: Float32Array): Weight => {
    return { format: 'Float', tensor: array([values.length / columns, columns], values) };
  };

  it('gives the products of both side by side, with their biases', async () => {
    const weights = of(
      { 'a.weight': float(first), 'b.weight': float(second) },
      { 'a.bias': array([N], bias), 'b.bias': array([2], Float32Array.of(1, 2)) },
    );
    const asked = layers.map((layer) => ({ ...layer, hasBias: true }));

    const found = await run(weights, asked);

    const a = multiply(x, first, columns).map((value, i) => value + bias[i % N]!);
    const b = multiply(x, second, columns).map((value, i) => value + 1 + (i % 2));
    assert.ok(largestDifference(beside(a, b), found) < 1e-5, 'differs');
  });

  it('joins weights that are stored the other way round', async () => {
    const turned = (values: Float32Array): Weight => {
      const rows = values.length / columns;
      const data = values.map((_, at) => values[(at % rows) * columns + Math.floor(at / rows)]!);
      return { format: 'Float', tensor: array([columns, rows], data), isTransposed: true };
    };

    const found = await run(of({ 'a.weight': turned(first), 'b.weight': turned(second) }));

    const [a, b] = [multiply(x, first, columns), multiply(x, second, columns)];
    assert.ok(largestDifference(beside(a, b), found) < 1e-5, 'differs');
  });

  it('joins blocks with their scales', async () => {
    const a = blockWeight(4, { rows: N, columns, blockSize: 32 });
    const b = blockWeight(4, { rows: 2, columns, blockSize: 32 });

    const found = await run(of({ 'a.weight': a.weight, 'b.weight': b.weight }));

    const expected = beside(multiply(x, a.values, columns), multiply(x, b.values, columns));
    assert.ok(largestDifference(expected, found) < 1e-3, 'differs');
  });

  it('joins nothing that is not alike', () => {
    const scope = (weights: Weights) => scopeOf(Tape.start('/m'), weights);
    const eight = blockWeight(8, { rows: 2, columns, blockSize: 32 }).weight;
    const four = blockWeight(4, { rows: N, columns, blockSize: 32 }).weight;

    assert.equal(joined(scope(of({ 'a.weight': four, 'b.weight': eight })), layers), undefined);
    const mixed = of({ 'a.weight': float(first), 'b.weight': eight });
    assert.equal(joined(scope(mixed), layers), undefined);
    const biased = layers.map((layer, i) => ({ ...layer, hasBias: i === 0 }));
    const floats = of({ 'a.weight': float(first), 'b.weight': float(second) });
    assert.equal(joined(scope(floats), biased), undefined);
  });
});

describe('reordered', () => {
  const columns = 64;
  const x = noise(n * columns, 1);
  const values = noise(N * columns, 2);
  const order = Array.from({ length: N }, (_, i) => ((i * 2) % N) + Math.floor((i * 2) / N));
  const run = async (weight: Weight): Promise<number[]> => {
    const weights = { ...weightsOf({ 'a.bias': array([N], bias) }), matrix: () => weight };
    const { y } = await runBlock({ x: floats([n, columns], x) }, (tape, inputs) => ({
      y: reordered(scopeOf(tape, weights), { name: 'a', rows: N, columns, hasBias: true }, order)!(
        tape,
        inputs.x,
      ),
    }));
    return y!.data;
  };
  const moved = (plain: readonly number[]) =>
    plain.map((_, at) => plain[at - (at % N) + order[at % N]!]!);
  const plainly = (w: ArrayLike<number>) =>
    moved(multiply(x, w, columns).map((value, i) => value + bias[i % N]!));

  it('gives the same outputs in another order, with their biases', async () => {
    const found = await run({ format: 'Float', tensor: array([N, columns], values) });

    assert.ok(largestDifference(plainly(values), found) < 1e-5, 'differs');
  });

  it('reads a weight that is stored the other way round', async () => {
    const data = values.map((_, at) => values[(at % N) * columns + Math.floor(at / N)]!);

    const tensor = array([columns, N], data);
    const found = await run({ format: 'Float', tensor, isTransposed: true });

    assert.ok(largestDifference(plainly(values), found) < 1e-5, 'differs');
  });

  it('moves blocks with their scales', async () => {
    const { weight, values } = blockWeight(8, { rows: N, columns, blockSize: 32 });

    const found = await run(weight);

    assert.ok(largestDifference(plainly(values), found) < 1e-3, 'differs');
  });
});
