import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bfloat16Above, bfloat16Value } from '../../../../server/quant/bfloat16.ts';

describe('bfloat16Above', () => {
  it('gives the next number with eight bits of fraction away from zero, or the number itself', () => {
    const cases: [number, number][] = [
      [0, 0],
      [1, 1],
      [-1, -1],
      [1 + 2 ** -20, 1 + 2 ** -7],
      [-1 - 2 ** -20, -1 - 2 ** -7],
      [1.99999, 2],
      [2 ** -140, 2 ** -133],
    ];
    for (const [given, want] of cases) assert.equal(bfloat16Value(bfloat16Above(given)), want);
  });

  it('is never smaller in magnitude, and at most a 128th larger', () => {
    fc.assert(
      fc.property(fc.float({ min: 2 ** -100, max: 2 ** 100, noNaN: true }), (value) => {
        const found = bfloat16Value(bfloat16Above(value));

        assert.ok(found >= value && found < value * (1 + 2 ** -7), `${value} became ${found}`);
      }),
    );
  });
});
