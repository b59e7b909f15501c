import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KubernetesApiError } from '../../../../operator/kube/errors.ts';
import { resources } from '../../../../operator/kube/resources.ts';
import { clientOf, configMap, never } from '../../../support/kube-kit.ts';
import { KubeServer } from '../../../support/kube-server.ts';

const { configMaps, deployments, referenceModels } = resources;
const ref = { namespace: 'rl', name: 'a' };

describe('KubeClient', () => {
  it('creates, reads, lists, patches, replaces and deletes', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);

    const made = await client.create(configMaps, configMap('a', { x: '1' }), never);
    const patched = await client.patch(configMaps, ref, { data: { x: null, y: '2' } }, never);
    const replaced = await client.replace(configMaps, { ...patched, data: { z: '3' } }, never);
    const listed = await client.list(
      configMaps,
      { namespace: 'rl', labelSelector: 'app=x' },
      never,
    );
    await client.delete(configMaps, ref, {}, never);

    assert.ok(made.metadata?.uid);
    assert.deepEqual(patched.data, { y: '2' });
    assert.deepEqual(replaced.data, { z: '3' });
    assert.equal(listed.items.length, 1);
    assert.equal(server.get('v1/configmaps', 'a', 'rl'), undefined);
    client.close();
  });

  it('lists page by page', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    for (const name of ['a', 'b', 'c'])
      server.put('v1/configmaps', { ...configMap(name) } as never);

    const first = await client.list(configMaps, { limit: 2 }, never);
    const second = await client.list(configMaps, { limit: 2, continue: first.continue }, never);

    assert.deepEqual([first.items.length, second.items.length], [2, 1]);
    assert.equal(second.continue, undefined);
    client.close();
  });

  it('applies with its field manager, and by force only when told to', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);

    const options = { fieldManager: 'me', force: false, signal: never };
    await client.apply(configMaps, configMap('a'), options);

    const { contentType, query } = server.requests[0]!;
    assert.equal(contentType, 'application/apply-patch+yaml');
    assert.equal(query.get('fieldManager'), 'me');
    assert.equal(query.get('force'), 'false');
    client.close();
  });

  it('scales against the resourceVersion that was read', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    server.put('apps/v1/deployments', { metadata: { ...ref }, spec: { replicas: 0 } });
    const { metadata } = await client.getScale(deployments, ref, never);
    const { resourceVersion = '' } = metadata ?? {};
    const scale = { replicas: 1, resourceVersion, fieldManager: 'test' };

    const scaled = await client.setScale(deployments, ref, scale, never);
    const again = client.setScale(deployments, ref, { ...scale, replicas: 0 }, never);

    assert.equal(scaled.spec?.replicas, 1);
    await assert.rejects(again, { apiStatus: 409, reason: 'Conflict' });
    client.close();
  });

  it('deletes only the object with the given uid', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    server.put('v1/configmaps', { metadata: { ...ref } });

    await assert.rejects(client.delete(configMaps, ref, { uid: 'other' }, never), {
      apiStatus: 409,
    });

    client.close();
  });

  it('fills in the defaults of our own kinds', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    server.put('refmodel.dev/v1alpha1/referencemodels', {
      apiVersion: 'refmodel.dev/v1alpha1',
      kind: 'ReferenceModel',
      metadata: { ...ref },
      spec: { model: { persistentVolumeClaim: { claimName: 'models' } }, later: true },
    });

    const model = await client.get(referenceModels, ref, never);

    assert.equal(model.spec.quantization, 'Int8');
    client.close();
  });

  it('turns a refusal into an error with the status and reason of the API', async () => {
    await using server = await KubeServer.start();
    const calls: number[] = [];
    const client = clientOf(server, { observe: ({ status }) => calls.push(status) });

    const err: unknown = await client.get(configMaps, ref, never).catch((e: unknown) => e);

    assert.ok(err instanceof KubernetesApiError);
    assert.deepEqual([err.code, err.apiStatus, err.reason], ['KUBERNETES_API', 404, 'NotFound']);
    assert.deepEqual(calls, [404]);
    client.close();
  });

  it('gives up a call that takes too long', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server, { timeoutMs: 1 });
    server.stall();

    const call = client.get(configMaps, ref, never);

    await assert.rejects(call, { code: 'KUBERNETES_API', apiStatus: 0, reason: 'Timeout' });
    client.close();
  });

  it('says that the server cannot be reached', async () => {
    const server = await KubeServer.start();
    const client = clientOf(server);
    await server[Symbol.asyncDispose]();

    const call = client.get(configMaps, ref, never);

    await assert.rejects(call, { code: 'KUBERNETES_API', reason: 'Unreachable' });
    client.close();
  });

  it("rejects with the caller's own reason when the caller gives up", async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    const caller = new AbortController();
    const reason = new Error('enough');
    server.stall();

    const call = client.get(configMaps, ref, caller.signal);
    caller.abort(reason);

    await assert.rejects(call, reason);
    client.close();
  });
});

describe('KubeClient.watch', () => {
  const options = { resourceVersion: '0', timeoutSeconds: 60 };

  it('yields changes and bookmarks until the caller gives up', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    const caller = new AbortController();
    const seen: string[] = [];

    const watching = (async () => {
      for await (const { type } of client.watch(configMaps, options, caller.signal)) {
        seen.push(type);
        if (type === 'ADDED') server.remove('v1/configmaps', 'a', 'rl');
        if (type === 'DELETED') server.bookmark();
        if (type === 'BOOKMARK') caller.abort(new Error('enough'));
      }
    })();
    server.put('v1/configmaps', { metadata: { ...ref } });

    await assert.rejects(watching, { message: 'enough' });
    assert.deepEqual(seen, ['ADDED', 'DELETED', 'BOOKMARK']);
    client.close();
  });

  it('throws 410 for a version that is too old', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    server.compact();

    const first = client.watch(configMaps, options, never).next();

    await assert.rejects(first, { apiStatus: 410, reason: 'Expired' });
    client.close();
  });

  it('throws when the server goes away', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    const watch = client.watch(configMaps, options, never);
    server.put('v1/configmaps', { metadata: { ...ref } });
    await watch.next();

    server.dropWatches();

    await assert.rejects(watch.next(), { code: 'KUBERNETES_API', reason: 'Unreachable' });
    client.close();
  });
});
