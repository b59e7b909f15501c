import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { LeaseReaper } from '../../../../operator/controller/lease-reaper.ts';
import { ControllerMetrics } from '../../../../operator/controller/metrics.ts';
import { leaseObject } from '../../../../operator/kube/run-lease.ts';
import { FakeClock } from '../../../support/clock.ts';
import { never, operatorKit } from '../../../support/operator-kit.ts';

const leases = 'coordination.k8s.io/v1/leases';

async function stage() {
  const kit = await operatorKit();
  const clock = new FakeClock();
  const put = (run: string, seconds: number) => {
    const lease = { run, models: ['rl/tiny'], expiresAt: clock.now() + seconds * 1000 };
    const { metadata, spec } = leaseObject(lease, clock.now());
    kit.server.put(leases, { metadata: { ...metadata, namespace: 'sys' }, spec });
  };
  put('short', 10);
  put('long', 3600);
  const world = await kit.synced();
  const metrics = new ControllerMetrics();
  const { client } = kit;
  const reaper = new LeaseReaper({ world, client, clock, log: silentLogger, metrics });
  const runs = () =>
    kit.server.all(leases).map(({ spec }) => (spec as { holderIdentity: string }).holderIdentity);
  return { ...kit, put, world, clock, reaper, runs };
}

describe('LeaseReaper', () => {
  it('deletes a lease a minute after its term, and no other', async () => {
    await using t = await stage();

    await t.clock.step(69_000);
    await t.reaper.step(never);
    const before = t.runs();
    await t.clock.step(2000);
    await t.reaper.step(never);

    assert.deepEqual([before, t.runs()], [['short', 'long'], ['long']]);
  });

  it('leaves a lease that was renewed since it looked', async () => {
    await using t = await stage();
    await t.clock.step(120_000);
    t.server.dropWatches();
    t.put('short', 10);

    await t.reaper.step(never);

    assert.deepEqual(t.runs(), ['short', 'long']);
  });
});
