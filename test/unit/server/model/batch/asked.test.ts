import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AskedTokens } from '../../../../../server/model/batch/asked.ts';

describe('AskedTokens', () => {
  it('numbers each target once', () => {
    const asked = new AskedTokens(Int32Array.of(50, 51, 52));

    assert.deepEqual([asked.target(0, 1), asked.target(0, 2), asked.target(0, 1)], [0, 1, 0]);

    assert.deepEqual(asked.inChunks(10), {
      scored: Int32Array.of(0, 0),
      targets: Int32Array.of(51, 52),
      scoredShape: [1, 2],
    });
  });

  it('takes any target for the tops after a token, and token 0 where there is none', () => {
    const asked = new AskedTokens(Int32Array.of(50, 51));
    asked.target(0, 1);

    assert.deepEqual([asked.next(0), asked.next(1), asked.next(1)], [0, 1, 1]);

    assert.deepEqual([...asked.inChunks(10).targets], [51, 0]);
  });

  it('splits into equal chunks with as little padding as can be', () => {
    const asked = new AskedTokens(new Int32Array(8));
    for (let target = 1; target < 8; target++) asked.target(target - 1, target);

    const { scored, scoredShape } = asked.inChunks(3);

    assert.deepEqual(scoredShape, [3, 3]);
    assert.deepEqual([...scored], [0, 1, 2, 3, 4, 5, 6, 0, 0]);
  });
});
