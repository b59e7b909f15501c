import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { placesOf, scoredPositions } from '../../../../../server/api/native/places.ts';

const row = { ids: [0, 5, 6, 7, 0], start: 1, end: 4 };

describe('places', () => {
  for (const [align, length, at] of [
    ['target', 5, [2, 3]],
    ['source', 4, [1, 2]],
    ['response', 2, [0, 1]],
  ] as const) {
    it(`are those of the ${align}`, () => {
      const places = placesOf(row, Int32Array.of(1, 2), align);

      assert.deepEqual([places.length, [...places.at]], [length, [...at]]);
    });
  }

  it('are none for a single token at its source', () => {
    assert.equal(placesOf({ ids: [5], start: 0, end: 1 }, new Int32Array(), 'source').length, 0);
  });
});

describe('scoredPositions', () => {
  it('never has the first token, and follows a mask of the row as it came', () => {
    assert.deepEqual([...scoredPositions(row, { start: 0 })], [1, 2]);
    assert.deepEqual([...scoredPositions(row, { start: 2 })], [2]);
    assert.deepEqual([...scoredPositions(row, { start: 0, mask: [1, 1, 0, 1, 1] })], [2]);
  });
});
