import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  embedding,
  type Linear,
  type NormalFloatWeight,
  sliceRows,
  type Weight,
  type Weights,
} from '../../../../../server/onnx/blocks/weights.ts';
import { bfloat16Tensor, bfloat16Values, blockWeight } from '../../../../support/coded-weights.ts';
import {
  array,
  integers,
  largestDifference,
  noise,
  runBlock,
  scopeOf,
  weightsOf,
} from '../../../../support/run-graph.ts';

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
