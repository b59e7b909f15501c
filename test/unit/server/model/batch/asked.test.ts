import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AskedTokens } from '../../../../../server/model/batch/asked.ts';

describe('AskedTokens', () => {
  it('numbers each target once', () => {
    const asked = new AskedTokens(Int32Array.of(50, 51, 52), 10);

    assert.deepEqual([asked.target(0, 1), asked.target(0, 2), asked.target(0, 1)], [0, 1, 0]);

    assert.deepEqual(asked.inChunks(10), {
      scored: Int32Array.of(0, 0),
      targets: Int32Array.of(51, 52),
      temperatures: Float32Array.of(1, 1),
      scoredShape: [1, 2],
      candidates: new Int32Array(),
      candidateWidth: 0,
    });
  });

  it('takes any target for the tops after a token, and token 0 where there is none', () => {
    const asked = new AskedTokens(Int32Array.of(50, 51), 10);
    asked.target(0, 1);

    assert.deepEqual([asked.next(0), asked.next(1), asked.next(1)], [0, 1, 1]);

    assert.deepEqual([...asked.inChunks(10).targets], [51, 0]);
  });

  it('numbers a target again in another group', () => {
    const asked = new AskedTokens(Int32Array.of(50, 51), 10);
    asked.target(0, 1);

    asked.startGroup(0.5);

    assert.deepEqual([asked.next(0), asked.target(0, 1), asked.next(0)], [1, 2, 2]);
    assert.deepEqual([...asked.inChunks(10).temperatures], [1, 0.5, 0.5]);
  });

  it('has as many candidates at each as the widest list', () => {
    const asked = new AskedTokens(Int32Array.of(50, 51, 52), 10);
    asked.beside(asked.target(0, 1), Int32Array.of(7));
    asked.beside(asked.target(1, 2), Int32Array.of(8, -1));

    const { candidates, candidateWidth } = asked.inChunks(10);

    assert.equal(candidateWidth, 2);
    assert.deepEqual([...candidates], [7, 0, 8, 0]);
  });

  it('never leaves a token alone in its chunk', () => {
    const asked = new AskedTokens(Int32Array.of(50, 51), 10);
    asked.target(0, 1);

    assert.deepEqual(asked.inChunks(10).scoredShape, [1, 2]);
  });

  it('splits into equal chunks with as little padding as can be', () => {
    const asked = new AskedTokens(new Int32Array(8), 10);
    for (let target = 1; target < 8; target++) asked.target(target - 1, target);

    const { scored, scoredShape } = asked.inChunks(3);

    assert.deepEqual(scoredShape, [3, 3]);
    assert.deepEqual([...scored], [0, 1, 2, 3, 4, 5, 6, 0, 0]);
  });
});
