import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eightBits } from '../../../../../server/onnx/blocks/eight-bits.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import { blockWeight } from '../../../../support/coded-weights.ts';
import {
  floats,
  largestDifference,
  multiply,
  noise,
  runBlock,
  scopeOf,
  weightsOf,
} from '../../../../support/run-graph.ts';

const n = 4;
const N = 6;

describe('eightBits', () => {
  for (const columns of [64, 40, 20]) {
    it(`multiplies by what the codes of ${columns} columns stand for`, async () => {
      const { weight, values } = blockWeight(8, { rows: N, columns, blockSize: 32 });
      const x = noise(n * columns, 1);

      const { y } = await runBlock({ x: floats([n, columns], x) }, (tape, inputs) => ({
        y: eightBits(scopeOf(tape, weightsOf({})), 'w', weight)(tape, inputs.x),
      }));

      assert.ok(largestDifference(multiply(x, values, columns), y!.data) < 5e-3, 'differs');
    });
  }

  it('gives a row the same bits alone with another and among many', async () => {
    const { weight } = blockWeight(8, { rows: N, columns: 64, blockSize: 32 });
    const x = noise(n * 64, 1);
    const run = async (rows: number) => {
      const { y } = await runBlock(
        { x: floats([rows, 64], x.slice(0, rows * 64)) },
        (tape, inputs) => ({
          y: eightBits(scopeOf(tape, weightsOf({})), 'w', weight)(tape, inputs.x),
        }),
      );
      return y!.data;
    };

    assert.deepEqual((await run(n)).slice(0, 2 * N), await run(2));
  });

  it('dequantizes nothing before x is there', () => {
    const tape = Tape.start('/m');
    const { weight } = blockWeight(8, { rows: N, columns: 64, blockSize: 32 });
    const x = tape.input({ name: 'x', type: 'float32', shape: ['n', 64] });

    eightBits(scopeOf(tape, weightsOf({})), 'w', weight)(tape, x);

    const { nodes } = tape.finish();
    const known = new Set(['x']);
    for (const { inputs, outputs } of nodes) {
      if (inputs.some((input) => known.has(input))) for (const output of outputs) known.add(output);
    }
    const { outputs } = nodes.find(({ type }) => type === 'DequantizeLinear')!;
    assert.ok(
      outputs.every((output) => known.has(output)),
      'does not follow from x',
    );
  });
});
