import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resources } from '../../../operator/kube/resources.ts';
import { clientOf, configMap, never } from '../../support/kube-kit.ts';
import { KubeServer } from '../../support/kube-server.ts';

const { configMaps, deployments, referenceModels } = resources;
const ref = { namespace: 'rl', name: 'a' };

describe('KubeServer', () => {
  it('gives every change a larger resourceVersion, and a new generation to a new spec only', async () => {
    await using server = await KubeServer.start();

    const made = server.put('v1/x', { metadata: { ...ref }, spec: { a: 1 } });
    const labelled = server.put('v1/x', { metadata: { ...ref, labels: { b: 'c' } } });
    const changed = server.put('v1/x', { metadata: { ...ref }, spec: { a: 2 } });

    const versions = [made, labelled, changed].map(({ metadata }) =>
      Number(metadata.resourceVersion),
    );
    assert.ok(versions[0]! < versions[1]! && versions[1]! < versions[2]!);
    assert.deepEqual(
      [made, labelled, changed].map(({ metadata }) => metadata.generation),
      [1, 1, 2],
    );
    assert.equal(changed.metadata.uid, made.metadata.uid);
  });

  it('refuses a second object of a name, and a write on an old version or another object', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    const made = await client.create(configMaps, configMap('a'), never);
    await client.patch(configMaps, ref, { data: { x: '1' } }, never);
    const other = { metadata: { ...ref, uid: 'other' } };

    await assert.rejects(client.create(configMaps, configMap('a'), never), {
      reason: 'AlreadyExists',
    });
    await assert.rejects(client.replace(configMaps, made, never), { reason: 'Conflict' });
    const options = { fieldManager: 'me', force: true, signal: never };
    await assert.rejects(client.apply(configMaps, other, options), { reason: 'Conflict' });
    client.close();
  });

  it('changes only what a subresource is about', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    const spec = { model: { persistentVolumeClaim: { claimName: 'c' } } };
    server.put('refmodel.dev/v1alpha1/referencemodels', {
      apiVersion: 'refmodel.dev/v1alpha1',
      kind: 'ReferenceModel',
      metadata: { ...ref },
      spec,
    });
    server.put('apps/v1/deployments', {
      metadata: { ...ref },
      spec: { replicas: 0, paused: true },
    });
    const { metadata } = await client.getScale(deployments, ref, never);
    const { resourceVersion = '' } = metadata ?? {};
    const scale = { replicas: 4, resourceVersion, fieldManager: 'test' };

    const model = await client.patchStatus(referenceModels, ref, { replicas: 2 }, never);
    await client.setScale(deployments, ref, scale, never);

    assert.equal(model.status?.replicas, 2);
    assert.equal(model.metadata.generation, 1);
    assert.deepEqual(server.get('apps/v1/deployments', 'a', 'rl')?.['spec'], {
      replicas: 4,
      paused: true,
    });
    client.close();
  });

  it('selects by label and namespace, in lists and watches', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    const put = (name: string, namespace: string, labels = {}) =>
      server.put('v1/configmaps', { metadata: { name, namespace, labels } });
    const selection = { namespace: 'rl', labelSelector: 'app=x,tier' };
    const { resourceVersion } = await client.list(configMaps, selection, never);
    const options = { ...selection, resourceVersion, timeoutSeconds: 1 };
    put('elsewhere', 'other', { app: 'x', tier: '1' });
    put('unlike', 'rl', { app: 'y', tier: '1' });
    put('without', 'rl', { app: 'x' });
    put('wanted', 'rl', { app: 'x', tier: '1' });

    const listed = await client.list(configMaps, selection, never);
    const watch = client.watch(configMaps, options, never);
    const first = await watch.next();
    await watch.return(undefined);

    assert.deepEqual(
      listed.items.map(({ metadata }) => metadata?.name),
      ['wanted'],
    );
    assert.equal(first.value?.object.metadata?.name, 'wanted');
    client.close();
  });
});
