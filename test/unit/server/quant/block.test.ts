import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { emptyBlock, loadBlock } from '../../../../server/quant/block.ts';

describe('loadBlock', () => {
  it('copies a stretch, fills up with zeros, and gives the extreme with its sign', () => {
    const block = emptyBlock().fill(7);

    const extreme = loadBlock(block, Float32Array.of(9, 1, -3, 2, 9), 1, 4);

    assert.equal(extreme, -3);
    assert.deepEqual([...block.subarray(0, 5)], [1, -3, 2, 0, 0]);
    assert.ok(
      block.subarray(3).every((value) => value === 0),
      'not filled up',
    );
  });
});
