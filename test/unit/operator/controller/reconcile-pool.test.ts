import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { classManifest } from '../../../support/builders.ts';
import { collections, controllerKit } from '../../../support/controller-kit.ts';
import { modelState, readyPod, serverState } from '../../../support/facts.ts';

const pool = 'rfm-pool-cpu';
const { configMaps, deployments, models, networkPolicies, pods, serviceAccounts, services } =
  collections;
const all = [deployments, services, serviceAccounts];

const catalogOf = (t: Awaited<ReturnType<typeof controllerKit>>): string => {
  const data = t.server.get(configMaps, `${pool}-catalog`, 'rl')?.['data'] as
    | Record<string, string>
    | undefined;
  return data?.['catalog.json'] ?? '';
};
const annotationOf = (t: Awaited<ReturnType<typeof controllerKit>>): unknown =>
  (
    t.server.get(pods, 'pod-1', 'rl')?.metadata as
      | { annotations?: Record<string, string> }
      | undefined
  )?.annotations?.['refmodel.dev/catalog'];

describe('PoolReconciler', () => {
  it('makes all objects of a pool with the first model, at its least replicas', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('a', { scaling: { minReplicas: 2, maxReplicas: 3 } });
    await t.start();

    await t.reason('a', 'Available', 'OnDemand');

    for (const collection of all) assert.ok(t.server.get(collection, pool, 'rl'), collection);
    assert.match(catalogOf(t), /"rl\/a"/);
    const spec = t.server.get(deployments, pool, 'rl')?.['spec'] as { replicas: number };
    assert.equal(spec.replicas, 2);
  });

  it('tells the pods when the catalog changes, once', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('a', { scaling: { minReplicas: 1 } });
    t.server.put(pods, readyPod() as never);
    await t.start();
    await t.until(() => annotationOf(t) !== undefined);
    const before = annotationOf(t);

    t.putModel('b');
    await t.until(() => annotationOf(t) !== before);

    assert.match(catalogOf(t), /"rl\/b"/);
    const told = t.writes().filter(({ path }) => path.endsWith('/pods/pod-1'));
    assert.equal(told.length, 2);
  });

  it('opens the pods that have no word on traffic before the Service asks for it, and no closed one', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('a', { scaling: { minReplicas: 1 } }); // else the open one would go too
    const labelled = (name: string, labels: object) => {
      const pod = readyPod(name);
      return { ...pod, metadata: { ...pod.metadata, labels } } as never;
    };
    const ofPool = { 'refmodel.dev/pool': pool };
    t.server.put(pods, labelled('pod-1', ofPool));
    t.server.put(pods, labelled('pod-2', { ...ofPool, 'refmodel.dev/traffic': 'closed' }));

    await t.start();
    await t.until(() => t.server.get(services, pool, 'rl') !== undefined);

    const trafficOf = (name: string) =>
      t.server.get(pods, name, 'rl')?.metadata.labels?.['refmodel.dev/traffic'];
    const [opened, service] = ['/pods/pod-1', `/services/${pool}`].map((path) =>
      t.writes().findIndex((write) => write.path.endsWith(path)),
    );
    assert.deepEqual([trafficOf('pod-1'), trafficOf('pod-2')], ['open', 'closed']);
    assert.ok(opened !== undefined && service !== undefined && opened < service, 'in this order');
  });

  it('clears the pool away when its last model moves to another class', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('a');
    await t.start();
    await t.reason('a', 'Available', 'OnDemand');

    t.putModel('a', { gpuClass: 'none' });
    await t.until(() => all.every((c) => t.server.get(c, pool, 'rl') === undefined));

    assert.equal(t.server.get(configMaps, `${pool}-catalog`, 'rl'), undefined);
    assert.ok(t.server.get(services, 'a', 'rl'));
  });

  it('leaves a pool as it is when its class is removed, and follows the class when it is back', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('a', { gpuClass: 'cpu' });
    await t.start();
    await t.reason('a', 'Available', 'OnDemand');
    const before = t.server.get(deployments, pool, 'rl');

    t.server.remove('refmodel.dev/v1alpha1/gpuclasses', 'cpu');
    await t.reason('a', 'Accepted', 'ClassRemoved');
    const without = t.server.get(deployments, pool, 'rl');
    t.putClass();
    await t.reason('a', 'Accepted', 'Valid');

    assert.deepEqual(without, before);
  });

  it('moves a model that names no class to the next larger one when a pod says that it cannot fit', async () => {
    await using t = await controllerKit();
    const classes = 'refmodel.dev/v1alpha1/gpuclasses';
    const annotations = { 'refmodel.dev/is-default-class': 'true' };
    t.server.put(classes, classManifest({ metadata: { annotations } }));
    t.server.put(
      classes,
      classManifest({ metadata: { name: 'larger' }, spec: { memory: '64Gi' } }),
    );
    t.putModel('tiny', { gpuClass: undefined });
    t.server.put(pods, readyPod() as never);
    const error = { code: 'MODEL_TOO_LARGE', message: 'needs 5 GiB' };
    const state = serverState(modelState({ residency: 'Failed', error }));
    t.setReport({ pods: [{ pod: 'pod-1', pool: `rl/${pool}`, state }] });
    await t.start();

    await t.until(() => t.server.get(deployments, 'rfm-pool-larger', 'rl') !== undefined);
    await t.until(() => t.server.get(deployments, pool, 'rl') === undefined);
  });

  it('leaves a pool alone while it cannot read a model that may belong to it', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('a');
    t.putModel('b', { placement: 'Dedicated' });
    await t.start();
    await t.reason('a', 'Available', 'OnDemand');

    t.putModel('a', { quantization: 'Int2' });
    await t.until(() => t.world.models.unreadable.size === 1);
    t.putModel('b', { placement: 'Dedicated', preload: true });
    await t.until(() => t.server.get(models, 'b', 'rl') !== undefined);
    await t.reason('b', 'Available', 'OnDemand');

    assert.ok(t.server.get(deployments, pool, 'rl'));
  });

  it('makes no half of a pool when one of its names is taken', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.server.put(services, { metadata: { name: pool, namespace: 'rl' } });
    t.putModel('a');
    await t.start();

    await t.reason('a', 'Accepted', 'NameTaken');

    assert.equal(t.server.get(serviceAccounts, pool, 'rl'), undefined);
    assert.equal(t.server.get(deployments, pool, 'rl'), undefined);
  });

  it('guards a pool with a NetworkPolicy, repairs it, and removes it with the pool', async () => {
    const traffic = { ingress: [{ ports: [{ port: 8080 }] }], egress: [] };
    await using t = await controllerKit({ traffic });
    t.putClass();
    t.putModel('a');
    await t.start();
    await t.reason('a', 'Available', 'OnDemand');
    const made = t.server.get(networkPolicies, pool, 'rl');

    t.server.remove(networkPolicies, pool, 'rl');
    await t.until(() => t.server.get(networkPolicies, pool, 'rl') !== undefined);
    t.putModel('a', {}, { deletionTimestamp: '2026-01-01T00:00:00Z' });
    await t.until(() => t.server.get(networkPolicies, pool, 'rl') === undefined);

    assert.deepEqual(made?.['spec'], {
      podSelector: { matchLabels: { 'refmodel.dev/pool': pool } },
      policyTypes: ['Ingress', 'Egress'],
      ...traffic,
    });
  });

  it('takes away the NetworkPolicy of a pool that is to have none any more', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('a');
    const labels = { 'app.kubernetes.io/managed-by': 'refmodel', 'refmodel.dev/pool': pool };
    t.server.put(networkPolicies, { metadata: { name: pool, namespace: 'rl', labels } });
    await t.start();

    await t.reason('a', 'Available', 'OnDemand');

    assert.equal(t.server.get(networkPolicies, pool, 'rl'), undefined);
  });

  it('does not make anew what a model on its way out leaves', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('a');
    await t.start();
    await t.reason('a', 'Available', 'OnDemand');

    t.putModel('a', {}, { deletionTimestamp: '2026-01-01T00:00:00Z' });
    await t.until(() => all.every((c) => t.server.get(c, pool, 'rl') === undefined));
    const before = t.writes().length;
    t.server.remove(services, 'a', 'rl');
    t.putModel('b');
    await t.reason('b', 'Available', 'OnDemand');

    assert.ok(t.writes().length > before);
    assert.equal(t.server.get(services, 'a', 'rl'), undefined);
  });
});
