import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  dequantizeInt8,
  int8BlockSize,
  int8BlocksPerRow,
  quantizeInt8,
} from '../../../../server/quant/int8.ts';

const weight = fc.float({ min: -100, max: 100, noNaN: true });
const matrix = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 80 }))
  .chain(([rows, columns]) =>
    fc.record({
      columns: fc.constant(columns),
      values: fc.array(weight, { minLength: rows * columns, maxLength: rows * columns }),
    }),
  );

describe('quantizeInt8', () => {
  it('changes no weight by more than half a step of its block', () => {
    fc.assert(
      fc.property(matrix, ({ columns, values }) => {
        const weights = Float32Array.from(values);

        const blocks = quantizeInt8(weights, columns);

        const back = dequantizeInt8(blocks, columns);
        const perRow = int8BlocksPerRow(columns);
        weights.forEach((value, i) => {
          const block =
            Math.floor(i / columns) * perRow + Math.floor((i % columns) / int8BlockSize);
          const step = blocks.scales[block]!;
          assert.ok(Math.abs(value - back[i]!) <= step * 0.5001 + 1e-37);
        });
      }),
    );
  });

  it('keeps zero and the largest weight of a block', () => {
    const { codes, scales } = quantizeInt8(Float32Array.of(0, -3, 1.5), 3);

    assert.equal(scales[0], Math.fround(3 / 127));
    assert.deepEqual([...codes.subarray(0, 3)], [128, 1, 192]);
  });

  it('fills the last block of a row with zeros', () => {
    const { codes, scales } = quantizeInt8(new Float32Array(2 * 33).fill(1), 33);

    assert.equal(codes.length, 2 * 2 * int8BlockSize);
    assert.deepEqual(
      [...scales],
      Array.from({ length: 4 }, () => Math.fround(1 / 127)),
    );
    assert.deepEqual([...codes.subarray(32, 35)], [255, 128, 128]);
  });

  it('gives scale zero to a block of zeros', () => {
    const { codes, scales } = quantizeInt8(new Float32Array(32), 32);

    assert.equal(scales[0], 0);
    assert.ok(codes.every((code) => code === 128));
  });
});
