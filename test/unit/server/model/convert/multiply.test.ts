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
});
