import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { collections, controllerKit } from '../../../support/controller-kit.ts';

const statusWrites = (t: Awaited<ReturnType<typeof controllerKit>>) =>
  t.writes().filter(({ path }) => path.endsWith('/status'));

describe('ModelReconciler', () => {
  it('gives a model its address, and a refused one as well', async () => {
    await using t = await controllerKit();
    t.putModel('a');
    await t.start();

    await t.reason('a', 'Accepted', 'ClassNotFound');

    const service = t.server.get(collections.services, 'a', 'rl')?.['spec'];
    assert.deepEqual(service, {
      type: 'ExternalName',
      externalName: 'refmodel-gateway.sys.svc.cluster.local',
    });
  });

  it('accepts a model once its class is there', async () => {
    await using t = await controllerKit();
    t.putModel('a');
    await t.start();
    await t.reason('a', 'Accepted', 'ClassNotFound');

    t.putClass();

    await t.reason('a', 'Available', 'OnDemand');
  });

  it('says that its name is taken, and takes it when it is free', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.server.put(collections.services, { metadata: { name: 'a', namespace: 'rl' } });
    t.putModel('a');
    await t.start();
    await t.reason('a', 'Accepted', 'NameTaken');

    t.server.remove(collections.services, 'a', 'rl');

    await t.reason('a', 'Accepted', 'Valid');
  });

  it('writes no status that says what the last one said', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('a');
    await t.start();
    await t.reason('a', 'Available', 'OnDemand');
    const before = statusWrites(t).length;

    t.putModel('a', {}, { annotations: { touched: 'yes' } });
    t.putModel('z', { task: 'Reward', fidelity: { maxKL: '0.01' } });
    await t.reason('z', 'Accepted', 'UnsupportedFidelity');

    const writes = statusWrites(t).slice(before);
    assert.deepEqual(
      writes.map(({ path }) => path.split('/').at(-2)),
      ['z'],
    );
  });

  it('tries again when a write fails', async () => {
    await using t = await controllerKit();
    t.putClass();
    await t.start();
    const conflict = { status: 409, reason: 'Conflict' };
    t.server.failNext(conflict, conflict, conflict, { status: 500, reason: 'InternalError' });

    t.putModel('a');

    await t.reason('a', 'Available', 'OnDemand');
  });
});
