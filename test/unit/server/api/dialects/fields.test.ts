import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { list, numbers } from '../../../../../server/api/dialects/fields.ts';

describe('lists of a body', () => {
  it('may be packed', () => {
    assert.deepEqual(list.parse(Int32Array.of(1)), Int32Array.of(1));
    assert.deepEqual(list.parse([[1], 'a']), [[1], 'a']);
    assert.deepEqual(numbers(z.array(z.int())).parse(Int32Array.of(1, 2)), [1, 2]);
  });

  it('are nothing else', () => {
    for (const value of ['ab', {}, 5, null, undefined]) {
      assert.equal(list.safeParse(value).success, false);
      assert.equal(numbers(z.array(z.int())).safeParse(value).success, false);
    }
  });
});
