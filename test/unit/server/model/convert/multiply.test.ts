import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openMultiplier } from '../../../../../server/model/convert/multiply.ts';
import { largestDifference, multiply, noise } from '../../../../support/run-graph.ts';

describe('openMultiplier', () => {
  it('multiplies by a matrix, or by its transpose, of any size', async () => {
    await using multiplier = await openMultiplier(1);
    for (const [m, k, n] of [
      [2, 3, 4],
      [65, 130, 7],
    ] as const) {
      const [a, b] = [noise(m * k, 1), noise(n * k, 2)]; // b [n, k]
      const turned = b.map((_, at) => b[(at % n) * k + Math.floor(at / n)]!); // [k, n]
      const left = { rows: m, columns: k, values: a };

      const byTranspose = await multiplier.multiply(
        left,
        { rows: n, columns: k, values: b },
        'Transposed',
      );
      const plain = await multiplier.multiply(
        left,
        { rows: k, columns: n, values: turned },
        'Plain',
      );

      const expected = multiply(a, b, k);
      assert.ok(largestDifference(expected, byTranspose) < 1e-4, 'a·bᵀ differs');
      assert.ok(largestDifference(expected, plain) < 1e-4, 'a·b differs');
    }
  });

  it('adds the square of rows to a sum, whatever their number', async () => {
    await using multiplier = await openMultiplier(1);
    for (const columns of [3, 1500]) {
      const [a, b] = [noise(5 * columns, 1), noise(5 * columns, 2)];
      const rows = (values: Float32Array) => ({ rows: 5, columns, values });
      const sum = { rows: columns, columns, values: new Float32Array(columns * columns).fill(1) };

      await multiplier.addSquare(sum, rows(a), rows(b));

      const [i, j] = [columns - 1, columns - 2];
      let expected = 1;
      for (let row = 0; row < 5; row++) expected += a[row * columns + i]! * b[row * columns + j]!;
      const found = sum.values[i * columns + j]!;
      assert.ok(Math.abs(found - expected) < 1e-5, `${found}, not ${expected}`);
    }
  });
});
