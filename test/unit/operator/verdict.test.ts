import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judge } from '../../../operator/verdict.ts';
import { gpuClass, referenceModel } from '../../support/builders.ts';

const cpu = gpuClass();
const isDefault = gpuClass({
  metadata: { name: 'small', annotations: { 'refmodel.dev/is-default-class': 'true' } },
});
const hub = { model: { huggingFace: { repo: 'owner/name' } } };

describe('judge', () => {
  it('puts an accepted model into the pool of its class', () => {
    const verdict = judge(referenceModel({ spec: { gpuClass: 'cpu' } }), [isDefault, cpu]);

    assert.equal(verdict.problem, undefined);
    assert.equal(verdict.pool, 'rl/rfm-pool-cpu');
  });

  it('refuses a class whose device it cannot compute on', () => {
    const spec = { executionProvider: 'WebGPU' };
    const webGPU = gpuClass({ metadata: { name: 'browser' }, spec });

    const verdict = judge(referenceModel({ spec: { gpuClass: 'browser' } }), [webGPU]);

    assert.equal(verdict.problem?.reason, 'UnsupportedProvider');
  });

  it('accepts a class that computes on CUDA', () => {
    const cuda = gpuClass({ metadata: { name: 'a100' }, spec: { executionProvider: 'CUDA' } });

    const verdict = judge(referenceModel({ spec: { gpuClass: 'a100' } }), [cuda]);

    assert.equal(verdict.pool, 'rl/rfm-pool-a100');
  });

  it('accepts weights on a volume and weights on the hub', () => {
    const verdict = judge(referenceModel({ spec: { ...hub, gpuClass: 'cpu' } }), [cpu]);

    assert.equal(verdict.problem, undefined);
  });

  it('gives a dedicated model a pool of its own, on the default class', () => {
    const verdict = judge(referenceModel({ spec: { placement: 'Dedicated' } }), [cpu, isDefault]);

    assert.equal(verdict.pool, 'rl/rfm-model-tiny');
    assert.equal(verdict.gpuClass?.metadata.name, 'small');
  });

  const refused = [
    {
      name: 'a bound on the divergence of rewards, which have none',
      spec: { task: 'Reward', fidelity: { maxKL: '0.01' } },
      want: 'UnsupportedFidelity',
    },
    { name: 'a class that is not there', spec: { gpuClass: 'big' }, want: 'ClassNotFound' },
    { name: 'no class where none is the default', spec: {}, want: 'NoDefaultClass' },
  ];
  for (const { name, spec, want } of refused) {
    it(`refuses ${name}`, () => {
      const verdict = judge(referenceModel({ spec }), [cpu]);

      assert.equal(verdict.problem?.reason, want);
      assert.equal(verdict.gpuClass, undefined);
    });
  }

  for (const task of ['LogProbs', 'Reward', undefined]) {
    for (const quantization of ['None', 'Int8', 'Int4', 'NF4']) {
      it(`accepts ${quantization} for ${task ?? 'what the checkpoint does'}`, () => {
        const spec = { gpuClass: 'cpu', task, quantization };

        assert.equal(judge(referenceModel({ spec }), [cpu]).problem, undefined);
      });
    }
  }

  const fidelity = { maxKL: '0.01' };
  const bounded = [
    { name: 'the fidelity of a converted model', spec: { quantization: 'NF4' } },
    {
      name: 'the fidelity of an unquantized model: it differs by nothing',
      spec: { task: 'Reward', quantization: 'None' },
    },
  ];
  for (const { name, spec } of bounded) {
    it(`accepts a bound on ${name}`, () => {
      const model = referenceModel({ spec: { gpuClass: 'cpu', fidelity, ...spec } });

      assert.equal(judge(model, [cpu]).problem, undefined);
    });
  }

  it('leaves a model in its pool whose class is gone, named or not, and none that it refuses', () => {
    const poolOf = (manifest: object) => judge(referenceModel(manifest), []).pool;

    assert.equal(poolOf({ spec: { gpuClass: 'big' } }), 'rl/rfm-pool-big');
    assert.equal(poolOf({ status: { gpuClass: 'cpu' } }), 'rl/rfm-pool-cpu');
    assert.equal(poolOf({}), undefined);
    const refused = { task: 'Reward', fidelity: { maxKL: '0.01' } };
    assert.equal(poolOf({ spec: { gpuClass: 'big', ...refused } }), undefined);
  });
});
