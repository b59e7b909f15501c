import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { type DemandView, unknownDemand } from '../../../../operator/controller/demand.ts';
import { Lately } from '../../../../operator/controller/lately.ts';
import { ControllerMetrics } from '../../../../operator/controller/metrics.ts';
import { poolActivity, Scaler } from '../../../../operator/controller/scaler.ts';
import type { Pod } from '../../../../operator/kube/resources.ts';
import { leaseObject } from '../../../../operator/kube/run-lease.ts';
import { classManifest, modelManifest, referenceModel } from '../../../support/builders.ts';
import { FakeClock } from '../../../support/clock.ts';
import {
  at,
  container,
  deployment,
  made,
  modelState,
  pod,
  readyPod,
  serverState,
  terminating,
} from '../../../support/facts.ts';
import { never, operatorKit } from '../../../support/operator-kit.ts';

const pool = 'rl/rfm-pool-cpu';
const demand = (more: Partial<DemandView> = {}): DemandView => ({
  ...unknownDemand,
  isComplete: true,
  ...more,
});
const asked = (count: number, lastActivity = Number.NEGATIVE_INFINITY) =>
  demand({ models: new Map([['rl/tiny', { asked: count, lastActivity }]]) });
const activity = (more: Partial<Parameters<typeof poolActivity>[0]> = {}) =>
  poolActivity(
    {
      pool,
      deployment: deployment(1),
      models: [referenceModel()],
      pods: [],
      demand: demand(),
      leased: new Set(),
      ...more,
    },
    new Lately(Number.NEGATIVE_INFINITY),
    made,
  );

const crashed: Pod = pod('pod-1', {
  containerStatuses: [
    container({ restartCount: 4, lastState: { terminated: { exitCode: 1, reason: 'Error' } } }),
  ],
});

describe('poolActivity', () => {
  it('starts the idle clock when the youngest pod is ready', () => {
    const younger = readyPod('pod-2');
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: at(50) }];
    younger.status = { ...younger.status, conditions };

    assert.equal(activity({ pods: [readyPod(), younger] }).readySince, made + 50_000);
    assert.equal(activity({ pods: [pod()] }).readySince, undefined);
    assert.equal(activity({ pods: [terminating(readyPod())] }).readySince, undefined);
  });

  it('starts it when a pod was made that cannot become ready, so that it need not stay for ever', () => {
    assert.equal(activity({ pods: [crashed] }).readySince, made);
  });

  it('is loading while any pod loads any model', () => {
    const loading = serverState(modelState({ name: 'rl/x', residency: 'Loading' }));
    const states = new Map([[pool, new Map([['pod-1', loading]])]]);

    assert.equal(activity({ demand: demand({ states }) }).isLoading, true);
    assert.equal(activity().isLoading, false);
  });

  it('falls back on the stored time, plus what it may lag behind, when gateways know of no request', () => {
    const model = referenceModel({ status: { lastRequestTime: at(0) } });
    const last = (view: DemandView) =>
      activity({ models: [model], demand: view }).models[0]?.lastActivity;

    assert.equal(last(demand()), made + 60_000);
    assert.equal(last(asked(0, made + 5000)), made + 5000);
    assert.equal(last(asked(0, made - 5000)), made);
  });

  it('knows the models that a run wants warm', () => {
    const leased = new Set(['rl/tiny']);

    assert.equal(activity({ leased }).models[0]?.isLeased, true);
  });

  it('takes the scaling of the models as it is', () => {
    const scaling = { minReplicas: 1, maxReplicas: 3, idleTimeout: '90s', concurrency: 4 };
    const model = referenceModel({ spec: { scaling } });

    const [found] = activity({ models: [model], demand: asked(7) }).models;

    assert.deepEqual(found, {
      minReplicas: 1,
      maxReplicas: 3,
      idleTimeoutMs: 90_000,
      concurrency: 4,
      asked: 7,
      isLeased: false,
      lastActivity: Number.NEGATIVE_INFINITY,
    });
  });
});

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
    return { ...kit, put, clock, scaler, now, world };
  }

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

    assert.deepEqual([prewarmed, leased, t.now()], [1, 1, 0]);
  });

  it('takes nothing away while a report is missing', async () => {
    await using t = await stage(1);
    await t.clock.step(3_600_000);

    await t.scaler.step(demand({ isComplete: false }), never);

    assert.equal(t.now(), 1);
  });

  it('does not overwrite a wake that came between its look and its write', async () => {
    await using t = await stage(1);
    await t.clock.step(3_600_000);
    t.server.dropWatches();
    t.put(2);

    await t.scaler.step(asked(0), never);

    assert.equal(t.now(), 2);
  });
});
