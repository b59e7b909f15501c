import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { classSettings } from '../../../operator/class-settings.ts';
import { gpuClass } from '../../support/builders.ts';

describe('classSettings', () => {
  it('counts the memory of a CPU class on the machine', () => {
    const { spec } = gpuClass({ spec: { memory: '2Gi', maxModels: 3 } });

    assert.deepEqual(classSettings(spec), {
      REFMODEL_EXECUTION_PROVIDER: 'CPU',
      REFMODEL_MAX_MODELS: '3',
      REFMODEL_MEMORY_BYTES: String(2 * 2 ** 30),
    });
  });

  it('counts the memory of a CUDA class on the GPU', () => {
    const { spec } = gpuClass({ spec: { executionProvider: 'CUDA', memory: '0.5Gi' } });

    assert.deepEqual(classSettings(spec), {
      REFMODEL_EXECUTION_PROVIDER: 'CUDA',
      REFMODEL_MAX_MODELS: '2',
      REFMODEL_DEVICE_MEMORY_BYTES: String(2 ** 29),
    });
  });
});
