import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type BlockWeight,
  embedding,
  type Linear,
  linear,
  type NormalFloatWeight,
  projection,
  sliceRows,
  type Weight,
  type Weights,
} from '../../../../../server/onnx/blocks/weights.ts';
import { float32Tensor, type Tensor } from '../../../../../server/onnx/graph.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import {
  array,
  floats,
  integers,
  largestDifference,
  multiply,
  noise,
  runBlock,
  scopeOf,
  weightsOf,
} from '../../../../support/run-graph.ts';

const n = 3;
const N = 5;

/** The upper half of each float32. */
const bfloat16Tensor = (values: Float32Array, shape: number[]): Tensor => {
  const halves = Uint16Array.from(new Uint32Array(values.buffer), (word) => word >>> 16);
  return { type: 'bfloat16', shape, data: new Uint8Array(halves.buffer) };
};
const bfloat16Values = (values: Float32Array): Float32Array =>
  new Float32Array(new Uint32Array(values.buffer).map((word) => word & 0xffff0000).buffer);

const bytes = (data: Uint8Array, shape: number[]): Tensor => ({ type: 'uint8', shape, data });

/** Codes from 0 to 2^bits - 1, one after another without a pattern. */
const codesOf = (count: number, bits: number): Uint8Array =>
  Uint8Array.from(noise(count, 7), (value) => Math.floor(((value + 1) / 2) * 2 ** bits));

/** A block weight [rows, columns], and the numbers it stands for. */
function blockWeight(
  bits: 4 | 8,
  { rows, columns, blockSize }: { rows: number; columns: number; blockSize: number },
): { weight: BlockWeight; values: number[] } {
  const blocks = Math.ceil(columns / blockSize);
  const codes = codesOf(rows * blocks * blockSize, bits);
  const scales = noise(rows * blocks, 8);
  const packed =
    bits === 8
      ? codes
      : Uint8Array.from({ length: codes.length / 2 }, (_, i) => {
          return codes[2 * i]! | (codes[2 * i + 1]! << 4);
        });
  const exact = bfloat16Values(scales);
  const values = Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    const block = row * blocks + Math.floor(column / blockSize);
    const code = codes[block * blockSize + (column % blockSize)]!;
    return (code - 2 ** (bits - 1)) * exact[block]!;
  });
  const weight: BlockWeight = {
    format: 'Blocks',
    bits,
    rows,
    columns,
    blockSize,
    codes: bytes(packed, [rows, blocks, (blockSize * bits) / 8]),
    scales: bfloat16Tensor(scales, [rows, blocks]),
    roundsActivations: false,
  };
  return { weight, values };
}

/** Of bitsandbytes, functional.py: quantiles of a normal distribution. */
const normalFloats = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
  -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
  0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
  0.7229568362236023, 1,
];

function normalFloatWeight(columns: number): { weight: NormalFloatWeight; values: number[] } {
  const blockSize = 64;
  const codes = codesOf(N * columns, 4);
  const scales = noise((N * columns) / blockSize, 8);
  const packed = Uint8Array.from({ length: codes.length / 2 }, (_, i) => {
    return (codes[2 * i]! << 4) | codes[2 * i + 1]!;
  });
  const values = [...codes].map((code, at) => {
    return normalFloats[code]! * scales[Math.floor(at / blockSize)]!;
  });
  const shape = { rows: N, columns, blockSize };
  const tensors = {
    codes: bytes(packed, [packed.length]),
    scales: float32Tensor(scales, [scales.length]),
  };
  return { weight: { format: 'NormalFloat', ...shape, ...tensors }, values };
}

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
    const { weight, values } = normalFloatWeight(128);
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

describe('embedding', () => {
  const shape = { rows: 7, columns: 64 };
  const table = noise(7 * 64, 5);
  const ids = [3, 1, 6, 3];
  const gathered = (values: ArrayLike<number>) =>
    ids.flatMap((id) => Array.from(values).slice(id * 64, (id + 1) * 64));
  const gather = async (weight: Exclude<Weight, NormalFloatWeight>): Promise<number[]> => {
    const { y } = await runBlock({ ids: integers([4], ids) }, (tape, inputs) => {
      const scope = scopeOf(tape, { ...weightsOf({}), table: () => weight });
      return { y: embedding(scope, inputs.ids, 'table', shape) };
    });
    return y!.data;
  };

  it('gathers rows of a float32 table', async () => {
    const found = await gather({ format: 'Float', tensor: array([7, 64], table) });

    assert.deepEqual(found, gathered(table));
  });

  it('gathers rows of a bfloat16 table as float32', async () => {
    const found = await gather({ format: 'Float', tensor: bfloat16Tensor(table, [7, 64]) });

    assert.deepEqual(found, gathered(bfloat16Values(table)));
  });

  for (const bits of [4, 8] as const) {
    it(`gathers what blocks of ${bits} bits stand for`, async () => {
      const { weight, values } = blockWeight(bits, { ...shape, blockSize: 32 });

      assert.ok(largestDifference(gathered(values), await gather(weight)) < 1e-5, 'differs');
    });
  }
});

describe('sliceRows', () => {
  const layer: Linear = { name: 'layer', rows: 10, columns: 32, hasBias: true };
  const stored = (shape: readonly number[], offset: number, length: number) =>
    ({ type: 'float32', shape, data: { file: '/w', offset, length } }) as const;
  const whole: Weights = {
    matrix: () => ({ format: 'Float', tensor: stored([10, 32], 1000, 1280) }),
    table: () => ({ format: 'Float', tensor: stored([10, 32], 1000, 1280) }),
    vector: () => stored([10], 40, 40),
  };
  const range = { from: 2, to: 5 };

  it('gives some rows of one matrix and of its bias', () => {
    const sliced = sliceRows(whole, layer, range);

    assert.deepEqual(sliced.matrix('layer.weight', { rows: 3, columns: 32 }), {
      format: 'Float',
      tensor: stored([3, 32], 1000 + 2 * 128, 3 * 128),
    });
    assert.deepEqual(sliced.vector('layer.bias', 3), stored([3], 40 + 2 * 4, 3 * 4));
  });

  it('gives some rows of blocks with their scales', () => {
    const blocks: Weight = {
      format: 'Blocks',
      bits: 8,
      rows: 10,
      columns: 32,
      blockSize: 32,
      codes: { ...stored([10, 1, 32], 0, 320), type: 'uint8' },
      scales: stored([10, 1], 320, 40),
      roundsActivations: false,
    };

    const sliced = sliceRows({ ...whole, matrix: () => blocks }, layer, range);

    assert.deepEqual(sliced.matrix('layer.weight', { rows: 3, columns: 32 }), {
      ...blocks,
      rows: 3,
      codes: { ...stored([3, 1, 32], 64, 96), type: 'uint8' },
      scales: stored([3, 1], 328, 12),
    });
  });

  it('leaves every other tensor as it is', () => {
    const sliced = sliceRows(whole, layer, range);

    const shape = { rows: 10, columns: 32 };
    assert.deepEqual(sliced.matrix('other.weight', shape), whole.matrix('other.weight', shape));
    assert.deepEqual(sliced.vector('other.bias', 10), whole.vector('other.bias', 10));
    assert.deepEqual(sliced.table('layer.weight', shape), whole.table('layer.weight', shape));
  });
});
