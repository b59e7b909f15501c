import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bfloat16Above, bfloat16Value } from '../../../../server/quant/bfloat16.ts';
import {
  allocateBlocks,
  blockSize,
  blocksPerRow,
  dequantize,
} from '../../../../server/quant/blocks.ts';
import { quantizeInt8 } from '../../../../server/quant/int8.ts';
import { noise } from '../../../support/run-graph.ts';

const weight = fc.float({ min: -100, max: 100, noNaN: true });
const matrix = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 80 }))
  .chain(([rows, columns]) =>
    fc.record({
      columns: fc.constant(columns),
      values: fc.array(weight, { minLength: rows * columns, maxLength: rows * columns }),
    }),
  );

const squared = (a: Float32Array, b: Float32Array) =>
  a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0);

describe('quantizeInt8', () => {
  it('changes no weight by more than half a step, or by one at the end with one step less', () => {
    fc.assert(
      fc.property(matrix, ({ columns, values }) => {
        const weights = Float32Array.from(values);

        const blocks = quantizeInt8(weights, columns);

        const back = dequantize(blocks, columns, 8);
        const perRow = blocksPerRow(columns);
        weights.forEach((value, i) => {
          const block = Math.floor(i / columns) * perRow + Math.floor((i % columns) / blockSize);
          const scale = bfloat16Value(blocks.scales[block]!);
          const steps = value / scale > 127.5 ? 1 : 0.5001;
          const off = Math.abs(value - back[i]!);
          assert.ok(off <= Math.abs(scale) * steps + 1e-37, `${value} became ${back[i]}`);
        });
      }),
    );
  });

  it('has less error than one scale that keeps the extreme', () => {
    const weights = noise(100 * blockSize);
    const plain = weights.map((value, i) => {
      const block = weights.subarray(i - (i % blockSize), i - (i % blockSize) + blockSize);
      const largest = block.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const scale = bfloat16Value(bfloat16Above(largest / 127));
      return Math.round(value / scale) * scale;
    });

    const back = dequantize(quantizeInt8(weights, blockSize), blockSize, 8);

    const [found, bound] = [squared(weights, back), squared(weights, plain)];
    assert.ok(found < 0.85 * bound, `${found} is not far below ${bound}`);
  });

  it('keeps zero and an extreme that bfloat16 can hold', () => {
    const { codes, scales } = quantizeInt8(Float32Array.of(0, -4, 2), 3);

    assert.equal(bfloat16Value(scales[0]!), 4 / 128);
    assert.deepEqual([...codes.subarray(0, 3)], [128, 0, 192]);
  });

  it('fills the last block of a row with zeros', () => {
    const { codes } = quantizeInt8(new Float32Array(2 * 33).fill(1), 33);

    assert.equal(codes.length, 2 * 2 * blockSize);
    assert.deepEqual([...codes.subarray(32, 35)], [0, 128, 128]);
  });

  it('gives scale zero to a block of zeros', () => {
    const { codes, scales } = quantizeInt8(new Float32Array(32), 32);

    assert.equal(scales[0], 0);
    assert.ok(
      codes.every((code) => code === 128),
      'a code is not that of zero',
    );
  });

  it('writes rows into a larger whole', () => {
    const weights = noise(4 * 40);
    const whole = allocateBlocks(4, 40, 8);
    for (const row of [2, 0]) {
      const into = {
        codes: whole.codes.subarray(row * 64, (row + 2) * 64),
        scales: whole.scales.subarray(row * 2, (row + 2) * 2),
      };
      quantizeInt8(weights.subarray(row * 40, (row + 2) * 40), 40, into);
    }

    assert.deepEqual(whole, quantizeInt8(weights, 40));
  });
});
