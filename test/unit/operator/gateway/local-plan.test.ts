import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planLocal } from '../../../../operator/gateway/local-plan.ts';
import { catalog } from '../../../../server/contract.ts';
import { gpuClass, referenceModel } from '../../../support/builders.ts';

const volumes = new Map([['models', '/data/models']]);

describe('planLocal', () => {
  it('puts models of one namespace and class into one pool, with the built-in class', () => {
    const models = ['a', 'b'].map((name) => referenceModel({ metadata: { name } }));

    const plan = planLocal(models, [], volumes);

    assert.deepEqual([...plan.pools.keys()], ['rl/rfm-pool-cpu']);
    const pool = plan.pools.get('rl/rfm-pool-cpu');
    assert.deepEqual(
      catalog.parse(pool?.catalog).models.map(({ name }) => name),
      ['rl/a', 'rl/b'],
    );
    assert.equal(pool?.settings['REFMODEL_MEMORY_BYTES'], String(4 * 2 ** 30));
  });

  it('resolves claims to the folders given', () => {
    const { pools } = planLocal([referenceModel()], [], volumes);

    const [first] = pools.get('rl/rfm-pool-cpu')?.catalog.models ?? [];
    assert.deepEqual(first?.source, { volume: { root: '/data/models', path: 'tiny' } });
  });

  it('gives a dedicated model, and a model of another namespace, pools of their own', () => {
    const models = [
      referenceModel({ metadata: { name: 'a' } }),
      referenceModel({ metadata: { name: 'b' }, spec: { placement: 'Dedicated' } }),
      referenceModel({ metadata: { name: 'c', namespace: 'eval' } }),
    ];

    const { pools } = planLocal(models, [], volumes);

    assert.deepEqual([...pools.keys()], ['rl/rfm-pool-cpu', 'rl/rfm-model-b', 'eval/rfm-pool-cpu']);
  });

  it('uses the classes given, and then not the built-in one', () => {
    const small = gpuClass({ metadata: { name: 'small' }, spec: { memory: '1Gi', maxModels: 1 } });
    const named = referenceModel({ spec: { gpuClass: 'small' } });

    const { models, pools } = planLocal([named], [small], volumes);

    const { settings } = pools.get('rl/rfm-pool-small') ?? {};
    assert.equal(settings?.['REFMODEL_MEMORY_BYTES'], String(2 ** 30));
    assert.equal(models[0]?.maxModels, 1);
    assert.throws(() => planLocal([referenceModel()], [small], volumes), {
      code: 'MANIFEST_INVALID',
    });
  });

  it('carries scaling in milliseconds', () => {
    const model = referenceModel({ spec: { scaling: { idleTimeout: '1m30s', concurrency: 7 } } });

    const [planned] = planLocal([model], [], volumes).models;

    assert.equal(planned?.scaling.idleTimeoutMs, 90_000);
    assert.equal(planned?.concurrency, 7);
  });

  it('refuses a claim without a folder, naming the flag', () => {
    assert.throws(() => planLocal([referenceModel()], [], new Map()), {
      code: 'CONFIGURATION_INVALID',
      message: /--volume models=/,
    });
  });

  it('takes a model of the hub, whose token is that of the environment', () => {
    const huggingFace = { repo: 'a/b', tokenSecretRef: { name: 'hf' } };
    const model = referenceModel({ spec: { model: { huggingFace } } });

    const [pool] = planLocal([model], [], new Map()).pools.values();

    assert.deepEqual(pool?.catalog.models[0]?.source, {
      huggingFace: { repo: 'a/b', revision: 'main' },
    });
  });

  const unsupported = {
    'a model that asks for authentication': { access: 'Authenticated' },
    'a class that does not exist': { gpuClass: 'none' },
  };
  for (const [name, spec] of Object.entries(unsupported)) {
    it(`refuses ${name}`, () => {
      const model = referenceModel({ spec });

      assert.throws(() => planLocal([model], [], volumes), { code: 'MANIFEST_INVALID' });
    });
  }

  it('refuses a class whose device it cannot compute on', () => {
    const spec = { executionProvider: 'WebGPU' };
    const webGPU = gpuClass({ metadata: { name: 'browser' }, spec });
    const model = referenceModel({ spec: { gpuClass: 'browser' } });

    assert.throws(() => planLocal([model], [webGPU], volumes), { code: 'MANIFEST_INVALID' });
  });
});
