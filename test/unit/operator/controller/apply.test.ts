import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Applier } from '../../../../operator/controller/apply.ts';
import { ControllerMetrics } from '../../../../operator/controller/metrics.ts';
import { modelService } from '../../../../operator/controller/resources/services.ts';
import { resources } from '../../../../operator/kube/resources.ts';
import { referenceModel } from '../../../support/builders.ts';
import { never, operatorKit } from '../../../support/operator-kit.ts';

const collection = 'v1/services';
const desired = modelService(referenceModel(), 'gateway');

async function stage() {
  const kit = await operatorKit();
  const world = await kit.synced();
  const applier = new Applier(kit.client, new ControllerMetrics());
  const kind = { resource: resources.services, cache: world.services };
  const ensure = async (wanted = desired) => {
    const live = await applier.find(kind, wanted, never);
    return applier.ensure(kind, { live, desired: wanted }, never);
  };
  return { ...kit, applier, kind, ensure };
}

describe('Applier', () => {
  it('makes what is not there, without force, and reads it back at once', async () => {
    await using t = await stage();

    await t.ensure();

    assert.equal(t.writes().at(-1)?.query.get('force'), 'false');
    assert.equal(t.kind.cache.get('rl/tiny')?.spec?.externalName, 'gateway');
  });

  it('writes nothing when nothing has changed', async () => {
    await using t = await stage();
    await t.ensure();
    const before = t.writes().length;

    await t.ensure();

    assert.equal(t.writes().length, before);
  });

  it('writes when we want something else, and when somebody else changed it', async () => {
    await using t = await stage();
    await t.ensure();

    await t.ensure(modelService(referenceModel(), 'other'));
    t.server.put(collection, {
      metadata: { name: 'tiny', namespace: 'rl' },
      spec: { externalName: 'x' },
    });
    await t.until(() => t.kind.cache.get('rl/tiny')?.spec?.externalName === 'x');
    await t.ensure();

    assert.equal(t.writes().length, 3);
    assert.equal(t.kind.cache.get('rl/tiny')?.spec?.externalName, 'gateway');
  });

  it('writes when a field that we gave before must go', async () => {
    await using t = await stage();
    const more = { ...desired, spec: { ...desired.spec, sessionAffinity: 'None' } };
    await t.ensure(more);

    await t.ensure();

    assert.equal(t.writes().length, 2);
  });

  it('never touches what is not ours, also when no cache shows it', async () => {
    await using t = await stage();
    t.server.put(collection, { metadata: { name: 'tiny', namespace: 'rl' }, spec: {} });

    await assert.rejects(t.ensure(), { code: 'NAME_TAKEN' });

    assert.equal(t.writes().length, 0);
  });

  it('does not change another object that took the name since', async () => {
    await using t = await stage();
    const made = await t.ensure();
    t.server.remove(collection, 'tiny', 'rl');
    t.server.put(collection, { metadata: { name: 'tiny', namespace: 'rl' }, spec: {} });
    const wanted = modelService(referenceModel(), 'other');

    const ensuring = t.applier.ensure(t.kind, { live: made, desired: wanted }, never);

    await assert.rejects(ensuring, { apiStatus: 409 });
  });

  it('deletes exactly the object that it looked at', async () => {
    await using t = await stage();
    const made = await t.ensure();

    await t.applier.remove(t.kind, made, never);
    await t.applier.remove(t.kind, made, never);

    assert.equal(t.server.get(collection, 'tiny', 'rl'), undefined);
  });
});
