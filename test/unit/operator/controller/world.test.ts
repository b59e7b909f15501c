import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { poolOf } from '../../../../operator/controller/world.ts';
import { classManifest, modelManifest } from '../../../support/builders.ts';
import { pod, readyPod } from '../../../support/facts.ts';
import { operatorKit } from '../../../support/operator-kit.ts';

const models = 'refmodel.dev/v1alpha1/referencemodels';
const classes = 'refmodel.dev/v1alpha1/gpuclasses';

async function stage() {
  const kit = await operatorKit();
  const put = (name: string, spec: object = {}, metadata: object = {}) =>
    kit.server.put(
      models,
      modelManifest({
        metadata: { name, ...metadata },
        spec: { gpuClass: 'cpu', ...spec },
      }),
    );
  kit.server.put(classes, classManifest());
  return { ...kit, put };
}

describe('World', () => {
  it('knows the models of a pool by name, without those that go or are refused', async () => {
    await using t = await stage();
    t.put('b');
    t.put('a');
    t.put('own', { placement: 'Dedicated' });
    t.put('refused', { task: 'Reward', fidelity: { maxKL: '0.01' } });
    t.put('going', {}, { deletionTimestamp: '2026-01-01T00:00:00Z' });
    t.put('elsewhere', {}, { namespace: 'other' });
    const world = await t.synced();

    const pools = [...world.pools()].map(([pool, list]) => [pool, list.length]);

    assert.deepEqual(
      world.modelsOf('rl/rfm-pool-cpu').map(({ metadata }) => metadata.name),
      ['a', 'b'],
    );
    assert.deepEqual(
      pools.sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
      [
        ['other/rfm-pool-cpu', 1],
        ['rl/rfm-model-own', 1],
        ['rl/rfm-pool-cpu', 2],
      ],
    );
  });

  it('finds the pools anew when a model has changed, and not before', async () => {
    await using t = await stage();
    t.put('a');
    const world = await t.synced();
    const before = world.pools();

    const again = world.pools();
    t.put('a', { placement: 'Dedicated' });
    await t.until(() => world.pools() !== before);

    assert.equal(again, before);
    assert.deepEqual([...world.pools().keys()], ['rl/rfm-model-a']);
  });

  it('finds the pods of a pool by its label', async () => {
    await using t = await stage();
    t.server.put('v1/pods', readyPod('pod-1') as never);
    t.server.put('v1/pods', { metadata: { name: 'foreign', namespace: 'rl' } });
    const world = await t.synced();

    assert.deepEqual(
      world.podsOf('rl/rfm-pool-cpu').map(({ metadata }) => metadata?.name),
      ['pod-1'],
    );
    assert.deepEqual(world.podsOf(''), []);
  });

  it('knows where an object lies that it cannot read', async () => {
    await using t = await stage();
    t.put('newer', { quantization: 'Int2' });
    const world = await t.synced();

    assert.equal(world.hasUnreadable('rl'), true);
    assert.equal(world.hasUnreadable('other'), false);
  });

  it('may know of no pool as long as it cannot read a class', async () => {
    await using t = await stage();
    t.server.put(classes, classManifest({ metadata: { name: 'new' }, spec: { memory: 3 } }));
    const world = await t.synced();

    assert.equal(world.hasUnreadable('any'), true);
  });
});

describe('poolOf', () => {
  it('is in the label of an object, if it has one', () => {
    assert.equal(poolOf(pod()), 'rl/rfm-pool-cpu');
    assert.equal(poolOf({ metadata: {} }), undefined);
  });
});
