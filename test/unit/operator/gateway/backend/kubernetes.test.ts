import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../../../../common/clock.ts';
import { silentLogger } from '../../../../../common/log.ts';
import { defaultClassAnnotation } from '../../../../../crds/gpu-class.ts';
import { KubernetesBackend } from '../../../../../operator/gateway/backend/kubernetes.ts';
import type { BackendChange } from '../../../../../operator/gateway/backend.ts';
import { labelNames } from '../../../../../operator/pool.ts';
import { classManifest, modelManifest } from '../../../../support/builders.ts';
import { clientOf, never, until } from '../../../../support/kube-kit.ts';
import { KubeServer } from '../../../../support/kube-server.ts';

const models = 'refmodel.dev/v1alpha1/referencemodels';
const classes = 'refmodel.dev/v1alpha1/gpuclasses';
const slices = 'discovery.k8s.io/v1/endpointslices';
const deployments = 'apps/v1/deployments';
const pool = 'rl/rfm-pool-cpu';

const defaultClass = classManifest({
  metadata: { annotations: { [defaultClassAnnotation]: 'true' } },
});
const readyPod = (name: string, address: string) => ({
  addresses: [address],
  conditions: { ready: true },
  targetRef: { kind: 'Pod', name },
});
const slice = (...endpoints: object[]) => ({
  addressType: 'IPv4',
  metadata: { name: 'slice-1', namespace: 'rl', labels: { [labelNames.pool]: 'rfm-pool-cpu' } },
  ports: [{ port: 8080 }],
  endpoints,
});
const deployment = (replicas: number) => ({
  metadata: { name: 'rfm-pool-cpu', namespace: 'rl' },
  spec: { replicas },
});

/** A backend over an API server, both ended with the scope. */
async function setup(options: { namespaces?: string[]; isSynced?: boolean } = {}) {
  const server = await KubeServer.start();
  const client = clientOf(server);
  const backend = new KubernetesBackend({
    client,
    clock: systemClock,
    log: silentLogger,
    namespaces: options.namespaces ?? [],
    leaseNamespace: 'sys',
  });
  const stop = new AbortController();
  const changes: BackendChange[] = [];
  backend.subscribe((change) => changes.push(change));
  let running: Promise<unknown> | undefined;
  const begin = async () => {
    running = backend.run(stop.signal).catch(() => {});
    await until(() => backend.isSynced());
  };
  return {
    server,
    backend,
    changes,
    begin,
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('the test is over'));
      await running;
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const replicas = (server: KubeServer): unknown =>
  (server.get(deployments, 'rfm-pool-cpu', 'rl')?.['spec'] as { replicas?: number } | undefined)
    ?.replicas;
const writes = (server: KubeServer) => server.requests.filter(({ method }) => method !== 'GET');

describe('KubernetesBackend', () => {
  it('keeps the leases of runs where another gateway, and its own next life, finds them', async () => {
    await using one = await setup();
    await one.begin();
    const other = new KubernetesBackend({
      client: clientOf(one.server),
      clock: systemClock,
      log: silentLogger,
      namespaces: [],
      leaseNamespace: 'sys',
    });
    const stop = new AbortController();
    const running = other.run(stop.signal).catch(() => {});
    const lease = { run: 'Run 1', models: ['rl/a', 'rl/b'], expiresAt: Date.now() + 60_000 };

    await one.backend.keepLease(lease, never);
    const own = one.backend.leases();
    await until(() => other.leases().length === 1);
    await one.backend.keepLease({ ...lease, expiresAt: Date.now() - 1000 }, never);
    const expired = one.backend.leases();
    await one.backend.keepLease(lease, never);
    await one.backend.dropLease('Run 1', never);
    await one.backend.dropLease('Run 1', never);
    await until(() => other.leases().length === 0);

    assert.deepEqual([own[0]?.run, own[0]?.models], ['Run 1', ['rl/a', 'rl/b']]);
    assert.deepEqual(expired, []);
    assert.deepEqual(one.server.all('coordination.k8s.io/v1/leases'), []);
    stop.abort(new Error('the test is over'));
    await running;
  });

  it('is not synced before it has listed, and knows every model then', async () => {
    await using test = await setup();
    test.server.put(classes, defaultClass);
    test.server.put(models, modelManifest());
    const before = test.backend.isSynced();

    await test.begin();

    assert.equal(before, false);
    assert.equal(test.backend.models().get('rl/tiny')?.pool, pool);
  });

  it('tells of models that come, change and go', async () => {
    await using test = await setup();
    test.server.put(classes, defaultClass);
    await test.begin();

    test.server.put(models, modelManifest());
    await until(() => test.backend.models().has('rl/tiny'));
    test.server.put(models, modelManifest({ spec: { scaling: { concurrency: 5 } } }));
    await until(() => test.backend.models().get('rl/tiny')?.concurrency === 5);
    test.server.remove(models, 'tiny', 'rl');
    await until(() => !test.backend.models().has('rl/tiny'));

    assert.deepEqual(test.changes, [
      { model: 'rl/tiny' },
      { model: 'rl/tiny' },
      { model: 'rl/tiny' },
    ]);
  });

  it('says nothing of changes that do not matter to it', async () => {
    await using test = await setup();
    test.server.put(classes, defaultClass);
    test.server.put(models, modelManifest());
    await test.begin();
    const before = test.backend.models();
    test.changes.length = 0;

    test.server.put(models, modelManifest({ status: { replicas: 1 } }));
    test.server.put(models, modelManifest({ metadata: { name: 'last' } }));
    await until(() => test.changes.length > 0);

    assert.deepEqual(test.changes, [{ model: 'rl/last' }]);
    assert.equal(before.size, 1);
  });

  it('finds the pool once the class is there', async () => {
    await using test = await setup();
    test.server.put(models, modelManifest());
    await test.begin();
    const before = test.backend.models().get('rl/tiny')?.pool;

    test.server.put(classes, defaultClass);
    await until(() => test.backend.models().get('rl/tiny')?.pool === pool);

    assert.equal(before, undefined);
  });

  it('keeps a model that it cannot read known, but refused', async () => {
    await using test = await setup();
    await test.begin();

    test.server.put(models, modelManifest({ spec: { quantization: 'Int2' } }));
    await until(() => test.backend.models().has('rl/tiny'));

    assert.equal(test.backend.models().get('rl/tiny')?.acceptance.state, 'Refused');
  });

  it('follows the ready pods of a pool over all its slices', async () => {
    await using test = await setup();
    await test.begin();

    test.server.put(slices, slice(readyPod('a', '10.0.0.1')));
    await until(() => test.backend.endpoints(pool).length === 1);
    const [first] = test.backend.endpoints(pool);
    test.server.put(slices, {
      ...slice(readyPod('b', '10.0.0.2')),
      metadata: { ...slice().metadata, name: 'slice-2' },
    });
    await until(() => test.backend.endpoints(pool).length === 2);
    const both = test.backend.allEndpoints();
    test.server.remove(slices, 'slice-1', 'rl');
    await until(() => test.backend.endpoints(pool).length === 1);

    assert.deepEqual(first, { id: 'a', pool, host: '10.0.0.1', port: 8080 });
    assert.equal(both[0], first);
    assert.deepEqual(test.changes, [{ pool }, { pool }, { pool }]);
  });

  it('makes a pod that was unready for a moment a new endpoint', async () => {
    await using test = await setup();
    await test.begin();
    test.server.put(slices, slice(readyPod('a', '10.0.0.1')));
    await until(() => test.backend.endpoints(pool).length === 1);
    const [before] = test.backend.endpoints(pool);

    test.server.put(slices, slice({ ...readyPod('a', '10.0.0.1'), conditions: { ready: false } }));
    await until(() => test.backend.endpoints(pool).length === 0);
    test.server.put(slices, slice(readyPod('a', '10.0.0.1')));
    await until(() => test.backend.endpoints(pool).length === 1);

    assert.notEqual(test.backend.endpoints(pool)[0], before);
  });

  it('watches only the namespaces given', async () => {
    await using test = await setup({ namespaces: ['rl'] });
    test.server.put(models, modelManifest());
    test.server.put(models, modelManifest({ metadata: { namespace: 'other' } }));

    await test.begin();

    assert.deepEqual([...test.backend.models().keys()], ['rl/tiny']);
  });

  it('wakes from zero to one, and writes nothing but the scale', async () => {
    await using test = await setup();
    test.server.put(deployments, deployment(0));

    await test.backend.wake(pool, never);

    assert.equal(replicas(test.server), 1);
    const path = '/apis/apps/v1/namespaces/rl/deployments/rfm-pool-cpu/scale';
    assert.deepEqual(
      writes(test.server).map(({ method, path }) => [method, path]),
      [['PUT', path]],
    );
  });

  it('writes nothing when there are replicas already', async () => {
    await using test = await setup();
    test.server.put(deployments, deployment(3));

    await test.backend.wake(pool, never);

    assert.equal(replicas(test.server), 3);
    assert.deepEqual(writes(test.server), []);
  });

  it('leaves the wake to the operator where a class says how many pods start at a time', async () => {
    await using test = await setup();
    test.server.put(classes, classManifest({ spec: { maxStarting: 1 } }));
    test.server.put(models, modelManifest({ spec: { gpuClass: 'cpu' } }));
    test.server.put(deployments, deployment(0));
    await test.begin();

    await test.backend.wake(pool, never);

    assert.equal(replicas(test.server), 0);
  });

  it('looks again after a conflict, and never lowers what another wrote', async () => {
    await using test = await setup();
    test.server.put(deployments, deployment(0));
    const put = test.server.put.bind(test.server);
    const waking = test.backend.wake(pool, never);
    await until(() => test.server.requests.length === 1);
    put(deployments, deployment(4));

    await waking;

    assert.equal(replicas(test.server), 4);
  });

  it('throws when the Deployment is not there yet', async () => {
    await using test = await setup();

    await assert.rejects(test.backend.wake(pool, never), { code: 'KUBERNETES_API' });
  });

  it('tells that a pool waits for its turn to start', async () => {
    await using test = await setup();
    test.server.put(classes, defaultClass);
    const queued = {
      type: 'Loaded',
      status: 'False',
      reason: 'Queued',
      message: 'its turn comes',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    test.server.put(models, modelManifest({ status: { conditions: [queued] } }));
    await test.begin();

    assert.equal(test.backend.trouble(pool), 'Queued: its turn comes');
  });

  it('tells the trouble of a pool from the Degraded condition of its models', async () => {
    await using test = await setup();
    test.server.put(classes, defaultClass);
    const degraded = {
      type: 'Degraded',
      status: 'True',
      reason: 'ImagePull',
      message: 'no such image',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    test.server.put(models, modelManifest({ status: { conditions: [degraded] } }));
    await test.begin();

    assert.equal(test.backend.trouble(pool), 'ImagePull: no such image');
    assert.equal(test.backend.trouble('rl/other'), undefined);
  });
});
