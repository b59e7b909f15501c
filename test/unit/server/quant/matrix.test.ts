import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { part, place, rangesOf, rowsOf, subtract, zeros } from '../../../../server/quant/matrix.ts';
import { matrix } from '../../../support/multiply.ts';

const counted = () => matrix(3, 4, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);

describe('matrices', () => {
  it('give a part as a copy', () => {
    const found = part(counted(), { from: 1, to: 3 }, { from: 2, to: 4 });

    assert.deepEqual(found, matrix(2, 2, [6, 7, 10, 11]));
  });

  it('give rows as a view', () => {
    const whole = counted();
    rowsOf(whole, { from: 1, to: 2 }).values[0] = -1;

    assert.equal(whole.values[4], -1);
  });

  it('take a part back at its place', () => {
    const whole = zeros(3, 4);
    place(whole, matrix(2, 2, [6, 7, 10, 11]), { row: 1, column: 2 });

    assert.deepEqual([...whole.values], [0, 0, 0, 0, 0, 0, 6, 7, 0, 0, 10, 11]);
  });

  it('are cut in equal ranges, the last one shorter', () => {
    const want = [
      { from: 0, to: 4 },
      { from: 4, to: 8 },
      { from: 8, to: 9 },
    ];
    assert.deepEqual(rangesOf(9, 4), want);
  });

  it('subtract number by number', () => {
    const a = Float32Array.of(3, 2);
    subtract(a, Float32Array.of(1, 4));

    assert.deepEqual([...a], [2, -2]);
  });
});
