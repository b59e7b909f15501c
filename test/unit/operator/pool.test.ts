import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultClassAnnotation } from '../../../crds/gpu-class.ts';
import {
  classOf,
  modelKey,
  modelUrl,
  objectKey,
  poolName,
  poolObjects,
  splitKey,
} from '../../../operator/pool.ts';
import { gpuClass, referenceModel } from '../../support/builders.ts';

const byDefault = (name: string) =>
  gpuClass({ metadata: { name, annotations: { [defaultClassAnnotation]: 'true' } } });

describe('pool', () => {
  it('takes the class that the model names', () => {
    const classes = [byDefault('cpu'), gpuClass({ metadata: { name: 'a100' } })];
    const found = classOf(referenceModel({ spec: { gpuClass: 'a100' } }), classes);

    assert.equal('gpuClass' in found && found.gpuClass.metadata.name, 'a100');
  });

  it('takes the default class when the model names none, the first by name of several', () => {
    const found = classOf(referenceModel(), [byDefault('b'), byDefault('a'), gpuClass()]);

    assert.equal('gpuClass' in found && found.gpuClass.metadata.name, 'a');
  });

  const sized = (name: string, memory: string, executionProvider = 'CPU') =>
    gpuClass({ metadata: { name }, spec: { memory, executionProvider } });
  const outgrew = (memory: string, spec = {}, observedGeneration = 1) =>
    referenceModel({
      spec,
      status: { outgrown: { gpuClass: 'cpu', memory, observedGeneration } },
    });
  const larger: { name: string; model: ReturnType<typeof outgrew>; want: string }[] = [
    { name: 'the next larger one', model: outgrew('4Gi'), want: 'mid' },
    { name: 'the one after that', model: outgrew('8Gi'), want: 'big' },
    { name: 'none when the largest was too small', model: outgrew('16Gi'), want: 'NoClassFits' },
    { name: 'the default one again for another spec', model: outgrew('8Gi', {}, 0), want: 'cpu' },
    { name: 'the named one all the same', model: outgrew('8Gi', { gpuClass: 'cpu' }), want: 'cpu' },
  ];
  for (const { name, model, want } of larger) {
    it(`takes ${name}, of the same provider`, () => {
      const classes = [
        sized('big', '16Gi'),
        sized('cuda', '9Gi', 'CUDA'),
        byDefault('cpu'),
        sized('mid', '8Gi'),
      ];

      const found = classOf(model, classes);

      assert.equal('gpuClass' in found ? found.gpuClass.metadata.name : found.reason, want);
    });
  }

  it('says why there is no class', () => {
    const unknown = classOf(referenceModel({ spec: { gpuClass: 'x' } }), [gpuClass()]);
    const noDefault = classOf(referenceModel(), [gpuClass()]);

    assert.equal('reason' in unknown && unknown.reason, 'ClassNotFound');
    assert.equal('reason' in noDefault && noDefault.reason, 'NoDefaultClass');
  });

  it('shares a pool by class, and keeps dedicated models apart', () => {
    const dedicated = referenceModel({ spec: { placement: 'Dedicated' } });

    assert.equal(poolName(referenceModel(), 'cpu'), 'rfm-pool-cpu');
    assert.equal(poolName(dedicated, 'cpu'), 'rfm-model-tiny');
  });

  it('gives every object a name that Kubernetes takes, for the longest names there are', () => {
    const longest = 'a'.repeat(50);
    const model = referenceModel({ metadata: { name: longest }, spec: { placement: 'Dedicated' } });

    for (const pool of [poolName(model, longest), poolName(referenceModel(), longest)]) {
      const { catalog, ...labelled } = poolObjects(pool);
      assert.ok(catalog.length <= 253);
      for (const name of Object.values(labelled)) assert.ok(name.length <= 63, name);
    }
  });

  it('takes keys apart as it put them together', () => {
    assert.deepEqual(splitKey(objectKey('rl', 'tiny')), { namespace: 'rl', name: 'tiny' });
    assert.equal(modelKey(referenceModel()), 'rl/tiny');
    assert.equal(modelUrl('rl/tiny'), 'http://tiny.rl.svc');
  });
});
