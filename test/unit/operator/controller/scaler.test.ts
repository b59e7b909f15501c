import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { type DemandView, unknownDemand } from '../../../../operator/controller/demand.ts';
import { ControllerMetrics } from '../../../../operator/controller/metrics.ts';
import { Scaler } from '../../../../operator/controller/scaler.ts';
import { leaseObject } from '../../../../operator/kube/run-lease.ts';
import { classManifest, modelManifest } from '../../../support/builders.ts';
import { FakeClock } from '../../../support/clock.ts';
import { made, readyPod } from '../../../support/facts.ts';
import { never, operatorKit } from '../../../support/operator-kit.ts';

const pool = 'rl/rfm-pool-cpu';
const demand = (more: Partial<DemandView> = {}): DemandView => ({
  ...unknownDemand,
  isComplete: true,
  ...more,
});
const asked = (count: number, lastActivity = Number.NEGATIVE_INFINITY) =>
  demand({ models: new Map([['rl/tiny', { asked: count, lastActivity }]]) });
describe('Scaler', () => {
  async function stage(replicas: number) {
    const kit = await operatorKit();
    const { server } = kit;
    server.put('refmodel.dev/v1alpha1/gpuclasses', classManifest());
    const spec = {
      gpuClass: 'cpu',
      scaling: { idleTimeout: '10s', maxReplicas: 4, concurrency: 2 },
    };
    server.put('refmodel.dev/v1alpha1/referencemodels', modelManifest({ spec }));
    const labels = { 'app.kubernetes.io/managed-by': 'refmodel' };
    const metadata = { name: 'rfm-pool-cpu', namespace: 'rl', labels };
    const put = (count: number) =>
      server.put('apps/v1/deployments', { metadata, spec: { replicas: count } });
    put(replicas);
    server.put('v1/pods', readyPod() as never);
    const world = await kit.synced();
    const clock = new FakeClock(made);
    const metrics = new ControllerMetrics();
    const scaler = new Scaler({ world, client: kit.client, clock, log: silentLogger, metrics });
    const now = () =>
      (
        server.get('apps/v1/deployments', 'rfm-pool-cpu', 'rl')?.['spec'] as
          | { replicas: number }
          | undefined
      )?.replicas;
    const traffic = () =>
      server.get('v1/pods', 'pod-1', 'rl')?.metadata.labels?.['refmodel.dev/traffic'];
    return { ...kit, put, clock, scaler, now, world, traffic };
  }

  it('starts no more pods at a time than the class says, and the others in their turn', async () => {
    await using t = await stage(1);
    t.server.put('refmodel.dev/v1alpha1/gpuclasses', classManifest({ spec: { maxStarting: 1 } }));
    const world = t.world;
    await t.until(() => world.classes.get('cpu')?.spec.maxStarting === 1);

    await t.scaler.step(asked(9), never);
    const first = t.now();
    await t.until(() => world.deployments.get(pool)?.spec?.replicas === 2);
    await t.scaler.step(asked(9), never);
    const still = t.now();
    t.server.put('v1/pods', readyPod('pod-2') as never);
    await t.until(() => world.podsOf(pool).length === 2);
    await t.scaler.step(asked(9), never);

    assert.deepEqual([first, still, t.now()], [2, 2, 3]);
  });

  it('owns the replicas that it writes, so that nobody has to hand them over', async () => {
    await using t = await stage(1);

    await t.scaler.step(asked(5), never);

    const [write] = t.writes().filter(({ path }) => path.endsWith('/scale'));
    assert.equal(write?.query.get('fieldManager'), 'refmodel-scaler');
  });

  it('adds pods for what is asked, gives up those not needed for long, and all when nobody asks', async () => {
    await using t = await stage(1);

    await t.scaler.step(asked(5), never);
    const busy = t.now();
    await t.until(() => t.world.deployments.get(pool)?.spec?.replicas === 3);
    await t.clock.step(9900);
    await t.scaler.step(asked(1), never);
    const lately = t.now();
    await t.clock.step(4000);
    await t.scaler.step(asked(0), never);
    await t.until(() => t.world.deployments.get(pool)?.spec?.replicas === 1);
    await t.clock.step(200);
    await t.scaler.step(asked(0), never);
    await t.scaler.step(asked(0), never);

    assert.deepEqual([busy, lately, t.now()], [3, 3, 0]);
  });

  it('starts a pod for a lease, and keeps it until the lease is over', async () => {
    await using t = await stage(0);
    const lease = { run: 'run-1', models: ['rl/tiny'], expiresAt: made + 60_000 };
    const { metadata, spec } = leaseObject(lease, made);
    const object = { metadata: { ...metadata, namespace: 'sys' }, spec };
    t.server.put('coordination.k8s.io/v1/leases', object);
    await t.until(() => t.world.leases.list().length === 1);

    await t.scaler.step(asked(0), never);
    const prewarmed = t.now();
    await t.until(() => t.world.deployments.get(pool)?.spec?.replicas === 1);
    await t.clock.step(59_000);
    await t.scaler.step(asked(0), never);
    const leased = t.now();
    await t.clock.step(1000);
    await t.scaler.step(asked(0), never);
    await t.scaler.step(asked(0), never);

    assert.deepEqual([prewarmed, leased, t.now()], [1, 1, 0]);
  });

  it('takes nothing away while a report is missing', async () => {
    await using t = await stage(1);
    await t.clock.step(3_600_000);

    await t.scaler.step(demand({ isComplete: false }), never);

    assert.equal(t.now(), 1);
  });

  it('closes a pod, and deletes it when no gateway has a request at it any more', async () => {
    await using t = await stage(1);
    await t.clock.step(3_600_000);
    const busy = demand({ traffic: new Map([[pool, new Set(['pod-1'])]]) });

    const isDraining = await t.scaler.step(busy, never);
    const closed = t.traffic();
    await t.scaler.step(busy, never);
    const kept = t.now();
    await t.scaler.step(demand(), never);

    assert.deepEqual([isDraining, closed, kept, t.now()], [true, 'closed', 1, 0]);
  });

  it('opens a closed pod again when somebody asks', async () => {
    await using t = await stage(1);
    await t.clock.step(3_600_000);
    await t.scaler.step(demand(), never);

    await t.scaler.step(asked(1), never);

    assert.deepEqual([t.traffic(), t.now()], ['open', 1]);
  });

  it('does not overwrite a wake that came between its look and its write', async () => {
    await using t = await stage(1);
    await t.clock.step(3_600_000);
    await t.scaler.step(asked(0), never); // closes the pod
    t.server.dropWatches();
    t.put(2);

    await t.scaler.step(asked(0), never);

    assert.equal(t.now(), 2);
  });
});
