import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chunkRowsFor, pack, type Scores, unpack } from '../../../../server/model/pack.ts';
import { scoreAll } from '../../../support/engine-kit.ts';

const options = { vocabularySize: 100, maxChunkRows: 4 };

describe('pack', () => {
  it('pads rows on the right and points before each scored token', () => {
    const rows = [scoreAll([5, 6, 7]), scoreAll([8, 9])];

    const batch = pack(rows, options);

    assert.ok(batch);
    assert.deepEqual(batch.shape, [2, 3]);
    assert.deepEqual([...batch.tokens], [5, 6, 7, 8, 9, 0]);
    assert.deepEqual([...batch.positions], [0, 1, 3]);
    assert.deepEqual([...batch.targets], [6, 7, 9]);
    assert.deepEqual(batch.scoredShape, [1, 3]);
    assert.equal(batch.topK, 0);
  });

  it('starts where scoring starts, and adds the place after the last token when the next is wanted', () => {
    const rows = [scoreAll([5, 6, 7, 8], { scoreFrom: 3, wantsNext: true })];

    const batch = pack(rows, options);

    assert.deepEqual([...batch!.positions], [2, 3]);
    assert.deepEqual([...batch!.targets], [8, 0]);
    assert.equal(batch?.topK, 1);
  });

  it('splits scored positions into equal chunks with as little padding as can be', () => {
    const batch = pack([scoreAll([0, 1, 2, 3, 4, 5])], options);

    assert.deepEqual(batch?.scoredShape, [2, 3]);
    assert.equal(batch?.positions.length, 6);
  });

  it('is nothing when no position is scored', () => {
    assert.equal(pack([scoreAll([5]), scoreAll([1, 2], { scoreFrom: 9 })], options), undefined);
  });

  it('asks for no more tops than there are tokens', () => {
    assert.equal(pack([scoreAll([5, 6], { topK: 1000 })], options)?.topK, 100);
  });
});

describe('unpack', () => {
  const scores: Scores = {
    logprobs: Float32Array.of(-1, -2, -3, -4),
    ranks: Int32Array.of(10, 20, 30, 40),
    topIds: Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    topLogprobs: Float32Array.of(-0.1, -0.2, -0.3, -0.4, -0.5, -0.6, -0.7, -0.8),
  };
  const batch = { topK: 2, vocabularySize: 100 };

  it('gives each row its own values and as many tops as it asked for', () => {
    const rows = [scoreAll([5, 6, 7]), scoreAll([8, 9], { topK: 2 })];

    const [first, second] = unpack(rows, scores, batch);

    assert.deepEqual(first, {
      logprobs: Float32Array.of(-1, -2),
      ranks: new Int32Array(),
      topIds: new Int32Array(),
      topLogprobs: new Float32Array(),
      k: 0,
    });
    assert.deepEqual(second, {
      logprobs: Float32Array.of(-3),
      ranks: Int32Array.of(30),
      topIds: Int32Array.of(5, 6),
      topLogprobs: Float32Array.of(-0.5, -0.6),
      k: 2,
    });
  });

  it('puts the most likely token at the next position', () => {
    const [row] = unpack([scoreAll([5, 6], { wantsNext: true })], scores, batch);

    assert.deepEqual([...row!.logprobs], [-1, Math.fround(-0.3)]);
    assert.deepEqual([...row!.ranks], [10, 1]);
    assert.deepEqual([...row!.topIds], [1, 3]);
    assert.equal(row?.k, 1);
  });
});

describe('chunkRowsFor', () => {
  it('bounds the logits of a chunk', () => {
    assert.equal(chunkRowsFor(2048), 512);
    assert.ok(chunkRowsFor(256_000) * 256_000 * 4 <= 256 << 20);
    assert.equal(chunkRowsFor(1 << 24), 32);
  });
});
