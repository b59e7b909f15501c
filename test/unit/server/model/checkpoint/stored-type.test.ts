import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { storedType } from '../../../../../server/model/checkpoint/stored-type.ts';

describe('storedType', () => {
  it('reads the type under its new and its old name', () => {
    assert.equal(storedType({ dtype: 'bfloat16' }), 'bfloat16');
    assert.equal(storedType({ torch_dtype: 'float16' }), 'float16');
    assert.equal(storedType({ dtype: 'float16', torch_dtype: 'float32' }), 'float16');
  });

  it('takes float32 for what is missing or unknown', () => {
    assert.equal(storedType({}), 'float32');
    assert.equal(storedType({ dtype: null, torch_dtype: 'auto' }), 'float32');
  });
});
