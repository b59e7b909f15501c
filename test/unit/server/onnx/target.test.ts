import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cpuTarget, providers } from '../../../../server/onnx/target.ts';

describe('cpuTarget', () => {
  it('is one of the providers, in the only numbers that it multiplies', () => {
    assert.ok(providers.includes(cpuTarget.provider), 'is none of them');
    assert.equal(cpuTarget.type, 'float32');
  });
});
