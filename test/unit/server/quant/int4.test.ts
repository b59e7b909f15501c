import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bfloat16Value } from '../../../../server/quant/bfloat16.ts';
import { blockSize, blocksPerRow, dequantize } from '../../../../server/quant/blocks.ts';
import { quantizeInt4 } from '../../../../server/quant/int4.ts';
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

const squared = (a: Float32Array, b: Float32Array, importance?: Float32Array) =>
  a.reduce((sum, x, i) => {
    return sum + (importance?.[i % importance.length] ?? 1) * (x - (b[i] ?? NaN)) ** 2;
  }, 0);

describe('quantizeInt4', () => {
  it('gives each weight the nearest point of the grid of its block', () => {
    fc.assert(
      fc.property(matrix, ({ columns, values }) => {
        const weights = Float32Array.from(values);

        const blocks = quantizeInt4(weights, columns);

        const back = dequantize(blocks, columns, 4);
        const perRow = blocksPerRow(columns);
        weights.forEach((value, i) => {
          const block = Math.floor(i / columns) * perRow + Math.floor((i % columns) / blockSize);
          const scale = bfloat16Value(blocks.scales[block]!);
          const ends = [-8 * scale, 7 * scale];
          const nearest = Math.min(Math.max(value, Math.min(...ends)), Math.max(...ends));
          const off = Math.abs(nearest - back[i]!);
          assert.ok(off <= Math.abs(scale) * 0.5001 + 1e-37, `${value} became ${back[i]}`);
        });
      }),
    );
  });

  it('is no worse than the scale that keeps the extreme', () => {
    for (let seed = 1; seed < 20; seed++) {
      const weights = noise(blockSize, seed);
      const extreme = weights.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
      const scale = extreme / -8;
      const plain = weights.map((x) => Math.min(7, Math.round(x / scale)) * scale);

      const back = dequantize(quantizeInt4(weights, blockSize), blockSize, 4);

      const [found, bound] = [squared(weights, back), squared(weights, plain) * 1.01];
      assert.ok(found <= bound, `${found} is more than ${bound}`);
    }
  });

  it('serves important columns first', () => {
    const weights = noise(64 * blockSize, 3);
    const importance = Float32Array.from({ length: blockSize }, (_, i) => (i < 4 ? 100 : 1));

    const even = dequantize(quantizeInt4(weights, blockSize), blockSize, 4);
    const aware = dequantize(quantizeInt4(weights, blockSize, importance), blockSize, 4);

    const [found, bound] = [even, aware].map((back) => squared(weights, back, importance));
    assert.ok(bound! < found!, `${bound} is not less than ${found}`);
  });

  it('gives scale zero to a block of zeros, and fills the last block with zeros', () => {
    const { codes, scales } = quantizeInt4(new Float32Array(33), 33);

    assert.deepEqual([...scales], [0, 0]);
    assert.ok(
      codes.every((pair) => pair === 0x88),
      'a code is not that of zero',
    );
  });
});
