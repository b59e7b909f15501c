import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { narrow, shapeOf, widen, widened } from '../../../../../server/onnx/blocks/shapes.ts';
import { cpuTarget } from '../../../../../server/onnx/target.ts';
import { floats, noise, runBlock } from '../../../../support/run-graph.ts';

describe('widen', () => {
  it('puts zeros at the end of each head, which narrow takes away', async () => {
    const heads = { heads: 2, headDim: 6 };
    const x = noise(3 * 12);

    const { wide, back } = await runBlock({ x: floats([3, 12], x) }, (tape, inputs) => {
      const wide = widen(tape, inputs.x, { count: 2, headDim: 6, target: cpuTarget });
      return { wide, back: narrow(tape, wide, heads) };
    });

    assert.deepEqual(wide?.dims, [3, 16]);
    assert.deepEqual(wide.data.slice(6, 8), [0, 0]);
    assert.deepEqual(back?.data, [...x]);
  });

  it('leaves heads of whole eights alone', () => {
    assert.deepEqual([1, 8, 9, 80, 100].map(widened), [8, 8, 16, 80, 104]);
  });
});

describe('shapeOf', () => {
  it('is made of values and numbers', async () => {
    const { y } = await runBlock({ x: floats([2, 6], noise(12)) }, (tape, { x }) => {
      const rows = tape.op('Shape', [x], { start: { int: 0 }, end: { int: 1 } });
      return { y: tape.op('Reshape', [x, shapeOf(tape, [3, rows, 2])]) };
    });

    assert.deepEqual(y?.dims, [3, 2, 2]);
  });
});
