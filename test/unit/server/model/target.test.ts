import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { numberTypeFor, type StoredType } from '../../../../server/model/target.ts';

describe('numberTypeFor', () => {
  const cases: [StoredType, string][] = [
    ['bfloat16', 'BFloat16'],
    ['float16', 'Float16'],
    ['float32', 'BFloat16'],
  ];
  for (const [stored, want] of cases) {
    it(`computes a checkpoint in ${stored} with ${want} on a GPU`, () => {
      assert.equal(numberTypeFor('CUDA', { stored }), want);
    });
  }

  it('computes with what is asked on a GPU', () => {
    assert.equal(numberTypeFor('CUDA', { asked: 'Float32', stored: 'bfloat16' }), 'Float32');
  });

  it('computes with Float32 on a CPU, whatever is asked', () => {
    assert.equal(numberTypeFor('CPU', { asked: 'Float16', stored: 'float16' }), 'Float32');
  });
});
