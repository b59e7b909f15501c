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
    const cuda = gpuClass({ metadata: { name: 'a100' }, spec: { executionProvider: 'CUDA' } });

    const verdict = judge(referenceModel({ spec: { gpuClass: 'a100' } }), [cuda]);

    assert.equal(verdict.problem?.reason, 'UnsupportedProvider');
  });

  it('gives a dedicated model a pool of its own, on the default class', () => {
    const verdict = judge(referenceModel({ spec: { placement: 'Dedicated' } }), [cpu, isDefault]);

    assert.equal(verdict.pool, 'rl/rfm-model-tiny');
    assert.equal(verdict.gpuClass?.metadata.name, 'small');
  });

  const refused = [
    { name: 'a source that it cannot load', spec: hub, want: 'UnsupportedSource' },
    { name: 'a task that it cannot do', spec: { task: 'Reward' }, want: 'UnsupportedTask' },
    {
      name: 'a quantization that it cannot do',
      spec: { quantization: 'NF4' },
      want: 'UnsupportedQuantization',
    },
    {
      name: 'access that it cannot check',
      spec: { access: 'Authenticated' },
      want: 'UnsupportedAccess',
    },
    {
      name: 'a bound on fidelity that it cannot measure',
      spec: { fidelity: { maxKL: '0.01' } },
      want: 'UnsupportedFidelity',
    },
    { name: 'a class that is not there', spec: { gpuClass: 'big' }, want: 'ClassNotFound' },
    { name: 'no class where none is the default', spec: {}, want: 'NoDefaultClass' },
  ];
  for (const { name, spec, want } of refused) {
    it(`refuses ${name}`, () => {
      const verdict = judge(referenceModel({ spec }), [cpu]);

      assert.equal(verdict.problem?.reason, want);
      assert.equal(verdict.pool, undefined);
    });
  }

  it('accepts a bound on the fidelity of an unquantized model: it differs by nothing', () => {
    const spec = { gpuClass: 'cpu', quantization: 'None', fidelity: { maxKL: '0.01' } };

    assert.equal(judge(referenceModel({ spec }), [cpu]).problem, undefined);
  });
});
