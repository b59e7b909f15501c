import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RopeTable } from '../../../../../server/onnx/blocks/rope.ts';
import { headsPerRun, pairedRows, turnedHeads } from '../../../../../server/onnx/blocks/turns.ts';
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

describe('headsPerRun', () => {
  it('is a divisor of the heads, and its run no wider than a block of threads', () => {
    const shapes = fc.record({
      count: fc.integer({ min: 1, max: 128 }),
      half: fc.integer({ min: 1, max: 128 }),
    });
    fc.assert(
      fc.property(shapes, ({ count, half }) => {
        const heads = headsPerRun(count, 2 * half);

        assert.equal(count % heads, 0);
        assert.ok(heads === 1 || heads * 2 * half <= 1024, `${heads} heads`);
      }),
    );
  });

  it('is as many as there is room for', () => {
    assert.equal(headsPerRun(32, 128), 8);
    assert.equal(headsPerRun(8, 64), 8);
    assert.equal(headsPerRun(24, 128), 8);
    assert.equal(headsPerRun(7, 256), 1);
  });
});

describe('pairedRows', () => {
  it('puts the halves of each head side by side', () => {
    assert.deepEqual(pairedRows(2, 4), [0, 2, 1, 3, 4, 6, 5, 7]);
  });
});

describe('turnedHeads', () => {
  const [count, headDim, hidden] = [6, 8, 5];
  const width = count * headDim;
  const positions = [0, 1, 2, 0, 1, 9, 4, 4, 5, 6, 7, 8]; // more tokens than positions
  const n = positions.length;
  const x = noise(n * hidden, 1);
  const weight = noise(width * hidden, 2);
  const table = new RopeTable({ type: 'default', theta: 10_000, dim: headDim }).upTo(10);

  /** As checkpoints have it: number i of a head with number i + d/2. */
  function turned(): number[] {
    const plain = multiply(x, weight, hidden);
    return plain.map((value, at) => {
      const [token, i] = [Math.floor(at / width), at % headDim];
      const half = headDim / 2;
      const [cos, sin] = [table.cos, table.sin].map(
        (angles) => angles[positions[token]! * half + (i % half)]!,
      ) as [number, number];
      return i < half
        ? value * cos - plain[at + half]! * sin
        : value * cos + plain[at - half]! * sin;
    });
  }

  it('turns every head by the position of its token, its numbers in the order of pairs', async () => {
    const given = {
      x: floats([n, hidden], x),
      cos: floats([10, headDim / 2], table.cos),
      sin: floats([10, headDim / 2], table.sin),
      positions: longs([1, n], positions),
    };
    const weights = weightsOf({ 'q.weight': array([width, hidden], weight) });

    const { y } = await runBlock(given, (tape, { x, cos, sin, positions }) => {
      const of = { of: 'Positions', cos, sin, dim: headDim, positions } as const;
      const layer = { name: 'q', rows: width, columns: hidden };
      return { y: turnedHeads(scopeOf(tape, weights), x, layer, { of, count })! };
    });

    const order = pairedRows(count, headDim);
    const expected = turned().map((_, at, all) => all[at - (at % width) + order[at % width]!]!);
    assert.ok(largestDifference(expected, y!.data) < 1e-5, 'differs');
  });
});
