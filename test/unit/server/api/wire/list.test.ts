import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isList, sliceOf } from '../../../../../server/api/wire/list.ts';

describe('a list', () => {
  it('is an array or packed numbers', () => {
    for (const list of [[], new Int32Array(), new Float32Array(), new Float64Array()]) {
      assert.equal(isList(list), true);
    }
    for (const other of [null, 5, 'text', {}, new Uint8Array()]) assert.equal(isList(other), false);
  });

  it('is cut without a copy where it is packed', () => {
    const packed = Int32Array.of(1, 2, 3);

    const part = sliceOf(packed, 1, 3);

    assert.deepEqual([...part], [2, 3]);
    assert.equal((part as Int32Array).buffer, packed.buffer);
    assert.deepEqual(sliceOf(['a', 'b'], 1, 2), ['b']);
  });
});
