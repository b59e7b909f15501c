import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { collections, controllerKit } from '../../../support/controller-kit.ts';
import { modelState, readyPod, serverState } from '../../../support/facts.ts';

const pool = 'rfm-pool-cpu';
const { deployments, pods } = collections;
type Kit = Awaited<ReturnType<typeof controllerKit>>;

const replicasOf = (t: Kit) =>
  (t.server.get(deployments, pool, 'rl')?.['spec'] as { replicas: number } | undefined)?.replicas;
const eventsOf = (t: Kit) => t.server.all(collections.events).map((event) => event['reason']);
const holding = (...models: ReturnType<typeof modelState>[]) => ({
  pods: [{ pod: 'pod-1', pool: `rl/${pool}`, state: serverState(...models) }],
});
const demand = (inFlight: number, lastActivity: string | null = null) => ({
  models: [{ model: 'rl/tiny', inFlight, held: 0, lastActivity }],
});
/** Idle since the pod of these tests was ready. */
const scaling = { scaling: { idleTimeout: '1s' } };

async function withPod(): Promise<Kit> {
  const t = await controllerKit();
  t.putClass();
  t.putModel('tiny', scaling);
  t.server.put(pods, readyPod() as never);
  t.setReport(demand(1));
  await t.start();
  await t.until(() => replicasOf(t) === 1);
  return t;
}

describe('Controller', () => {
  it('follows a model from its load over its eviction to the end of its pods', async () => {
    await using t = await withPod();
    await t.reason('tiny', 'Loaded', 'Starting');

    t.setReport(holding(modelState({ residency: 'Loading' })));
    await t.reason('tiny', 'Loaded', 'Loading');
    t.setReport(holding(modelState()));
    await t.reason('tiny', 'Loaded', 'Resident');
    t.setReport({ ...demand(1), ...holding() });
    await t.reason('tiny', 'Loaded', 'Evicted');
    t.setReport(demand(0, '2026-01-01T12:00:30.000Z'));
    await t.until(() => replicasOf(t) === 0);
    t.server.remove(pods, 'pod-1', 'rl');
    await t.reason('tiny', 'Loaded', 'ScaledToZero');

    const status = t.statusOf('tiny') as { lastRequestTime: string; model: { digest: string } };
    assert.equal(status.lastRequestTime, '2026-01-01T12:00:30.000Z');
    assert.equal(status.model.digest, 'd1');
    // Whether the operator saw the model before its pod is a matter of luck: only then does it tell that it woke it.
    const told = eventsOf(t).filter((reason) => reason !== 'Waking');
    assert.deepEqual(told, ['Loaded', 'Evicted']);
  });

  it('says why a load failed, and that it no longer does', async () => {
    await using t = await withPod();
    const error = { code: 'WEIGHTS_CORRUPT', message: 'cut short' };

    t.setReport(holding(modelState({ residency: 'Failed', error })));
    await t.reason('tiny', 'Degraded', 'WeightsCorrupt');
    assert.equal(t.reasonOf('tiny', 'Available'), 'WeightsCorrupt');
    t.setReport(holding(modelState()));

    await t.reason('tiny', 'Degraded', 'NoFailure');
  });

  it('scales nothing down while the gateways are not all heard', async () => {
    await using t = await withPod();
    t.server.put('discovery.k8s.io/v1/endpointslices', {
      metadata: {
        name: 'more',
        namespace: 'sys',
        labels: { 'kubernetes.io/service-name': 'refmodel-gateway-admin' },
      },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['127.0.0.1'] }],
      ports: [{ port: 1 }],
    });
    await t.until(() => t.world.gatewaySlices.list().length === 2);

    t.setReport({ ...demand(0), ...holding(modelState()) });
    await t.reason('tiny', 'Loaded', 'Resident');

    assert.equal(replicasOf(t), 1);
  });

  it('follows an edit of minReplicas and of maxReplicas at once', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('tiny');
    await t.start();
    await t.reason('tiny', 'Available', 'OnDemand');

    t.putModel('tiny', { scaling: { minReplicas: 2, maxReplicas: 3 } });
    await t.until(() => replicasOf(t) === 2);
    t.putModel('tiny', { scaling: { minReplicas: 1, maxReplicas: 1 } });
    await t.until(() => replicasOf(t) === 1);
  });

  it('looks at no other pool when the last model of one is deleted', async () => {
    await using t = await controllerKit();
    t.putClass();
    const others = Array.from({ length: 20 }, (_, i) => `own-${i}`);
    for (const name of ['tiny', ...others]) t.putModel(name, { placement: 'Dedicated' });
    await t.start();
    for (const name of ['tiny', ...others]) await t.reason(name, 'Available', 'OnDemand');
    const name = 'rfm-model-tiny';
    await t.until(() => t.world.deployments.get(`rl/${name}`) !== undefined);
    const before = { pools: await t.runs('pool'), models: await t.runs('model') };

    t.server.remove(collections.models, 'tiny', 'rl');
    await t.until(() => t.server.get(deployments, name, 'rl') === undefined);
    await t.until(() => t.world.deployments.get(`rl/${name}`) === undefined);

    // The pool, once for each of its objects that goes, and the model itself.
    assert.ok((await t.runs('pool')) - before.pools < 10, 'it looked at other pools');
    assert.ok((await t.runs('model')) - before.models < 10, 'it looked at other models');
  });

  it('makes again what somebody deleted', async () => {
    await using t = await controllerKit();
    t.putClass();
    t.putModel('tiny');
    await t.start();
    await t.reason('tiny', 'Available', 'OnDemand');

    t.server.remove(deployments, pool, 'rl');
    t.server.remove(collections.services, 'tiny', 'rl');

    await t.until(() => t.server.get(deployments, pool, 'rl') !== undefined);
    await t.until(() => t.server.get(collections.services, 'tiny', 'rl') !== undefined);
  });

  it('clears away at its start what pools left whose models went while it was down', async () => {
    await using t = await controllerKit();
    t.putClass();
    const labels = {
      'app.kubernetes.io/managed-by': 'refmodel',
      'refmodel.dev/pool': 'rfm-pool-old',
    };
    t.server.put(deployments, { metadata: { name: 'rfm-pool-old', namespace: 'rl', labels } });

    await t.start();

    await t.until(() => t.server.get(deployments, 'rfm-pool-old', 'rl') === undefined);
  });
});
