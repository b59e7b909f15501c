import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { targetFor } from '../../../../server/model/target.ts';

describe('targetFor', () => {
  const cases = [
    { stored: 'bfloat16', want: 'bfloat16' },
    { stored: 'float16', want: 'float16' },
    { stored: 'float32', want: 'bfloat16' },
  ] as const;
  for (const { stored, want } of cases) {
    it(`computes a checkpoint in ${stored} in ${want} on a GPU`, () => {
      assert.deepEqual(targetFor('CUDA', { stored }), { provider: 'CUDA', type: want });
    });
  }

  it('computes in what is asked on a GPU', () => {
    assert.equal(targetFor('CUDA', { asked: 'Float32', stored: 'bfloat16' }).type, 'float32');
    assert.equal(targetFor('CUDA', { asked: 'Float16', stored: 'bfloat16' }).type, 'float16');
  });

  it('computes in float32 on a CPU, whatever is asked', () => {
    assert.equal(targetFor('CPU', { asked: 'Float16', stored: 'float16' }).type, 'float32');
  });
});
