import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { selfTest } from '../../../../../server/model/cuda/self-test.ts';
import { cpuTarget } from '../../../../../server/onnx/target.ts';
import { withoutGpu } from '../../../../support/gpu.ts';

describe('selfTest', () => {
  it('passes what computes as the CPU does', async () => {
    await selfTest(cpuTarget, 1);
  });

  it('refuses a provider that is not there', { skip: withoutGpu === false }, async () => {
    await assert.rejects(selfTest({ provider: 'CUDA', type: 'bfloat16' }, 1), {
      code: 'PROVIDER_UNAVAILABLE',
    });
  });
});
