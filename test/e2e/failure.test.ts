// What breaks in a week-long run, on a real cluster: parts are rolled and killed, the API server stalls, classes and
// models go. Needs what story.test.ts needs, and to reach Services from this process: on other clusters it is skipped.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { apply, get, killHard, kubectl, namespace } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import {
  ask,
  classManifest,
  figures,
  gatewayHost,
  load,
  manifest,
  poolPods,
  reason,
  report,
  restart,
  settled,
  skip,
  system,
} from '../support/serving.ts';

/** Process id of the API server of the cluster that scripts/e2e.sh made. */
const apiServer = process.env['REFMODEL_E2E_APISERVER_PID'] || undefined;

/** The parent too: nsenter stops itself when its child does. */
function resume(pid: number): void {
  const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  for (const each of [Number(parent), pid]) process.kill(each, 'SIGCONT');
}

describe('failures on a cluster', { skip }, () => {
  before(async () => {
    await apply(classManifest('e2e-a'), classManifest('e2e-b'));
    await apply(manifest('steady', { gpuClass: 'e2e-a' }));
    await reason('steady', 'Accepted', 'Valid');
    assert.equal(await ask('steady'), 200);
  });
  after(async () => {
    await kubectl(['delete', 'rfm', '--all', '-n', namespace, '--timeout=60s']);
    await kubectl(['delete', 'gpuclass', 'e2e-a', 'e2e-b', 'e2e-gpu', '--ignore-not-found']);
    for (const line of figures) console.log(line);
  });

  it('loses no request while gateways, operators and pods are rolled', async () => {
    await using running = load('steady');
    await sleep(1000);

    await restart('refmodel-operator');
    await restart('refmodel-gateway');
    await restart('rfm-pool-e2e-a', namespace);
    await sleep(1000);

    const result = await running.stop();
    report('rolled', result);
    assert.deepEqual(result.lost, []);
  });

  it('loses no request while a class is edited and its pods are replaced', async () => {
    await using running = load('steady');
    const before = await poolPods('rfm-pool-e2e-a');

    await apply(classManifest('e2e-a', { maxModels: 5 }));
    await eventually(async () => {
      const now = await poolPods('rfm-pool-e2e-a');
      const names = now.map(({ metadata }) => metadata.name);
      assert.ok(names.length === 1 && names[0] !== before[0]?.metadata.name, names.join());
    }, 120_000);
    await sleep(1000);

    const result = await running.stop();
    report('class edited', result);
    assert.deepEqual(result.lost, []);
  });

  it('loses no request while a model moves to another class', async () => {
    await using running = load('steady');
    await sleep(500);

    await apply(manifest('steady', { gpuClass: 'e2e-b' }));
    await eventually(async () => {
      assert.equal((await poolPods('rfm-pool-e2e-a')).length, 0, 'the old pool is gone');
    }, 60_000);
    await sleep(3000);

    const result = await running.stop();
    report('moved to another class', result);
    assert.deepEqual(result.lost, []);
  });

  it('goes on serving when the class in use is removed', async () => {
    await kubectl(['delete', 'gpuclass', 'e2e-b']);
    await reason('steady', 'Accepted', 'ClassRemoved');

    assert.equal(await ask('steady'), 200);

    await apply(classManifest('e2e-b'));
    await reason('steady', 'Accepted', 'Valid');
  });

  it('loses next to nothing when parts are killed hard, one every five seconds', {
    skip: apiServer === undefined && 'not a cluster of our own',
  }, async () => {
    await using running = load('steady');
    const callers = 8;
    const kills: { atMs: number; isGateway: boolean; ended: number }[] = [];
    const victims = [
      [system, 'app.kubernetes.io/component=gateway'],
      [system, 'app.kubernetes.io/component=operator'],
      [namespace, 'refmodel.dev/pool'],
    ] as const;
    for (let i = 0; i < Number(process.env['REFMODEL_E2E_KILLS'] ?? 6); i++) {
      await sleep(5000);
      const [where, selector] = victims[i % victims.length] ?? victims[0];
      const pods = await get('pods', where, selector);
      const victim = pods[Math.floor(i / victims.length) % pods.length];
      const atMs = Date.now();
      const ended = victim ? await killHard(victim) : 0;
      kills.push({ atMs, isGateway: i % victims.length === 0, ended });
    }
    await sleep(5000);

    const result = await running.stop();
    const all = kills.reduce((sum, { ended }) => sum + ended, 0);
    report(`${all} processes killed`, result);
    assert.ok(all > 0, 'nothing was killed');
    for (const { what } of result.lost) console.log(`  lost: ${what}`);
    // A gateway that is killed takes its connections along, and is called until kube-proxy knows.
    const gateways = kills.filter(({ isGateway }) => isGateway);
    const ofGateways = gateways.reduce((sum, { ended }) => sum + ended, 0) * callers;
    const texts = result.lost.map(({ what }) => what).join('\n');
    assert.ok(result.lost.length <= 0.001 * result.answered + ofGateways, texts);
    const byOthers = result.lost.filter(({ atMs, isUnsent }) => {
      if (isUnsent) return false; // both gateways are being started
      const last = kills.findLast((kill) => kill.atMs <= atMs);
      return last && !last.isGateway;
    });
    assert.deepEqual(byOthers, [], 'no end of a pod or an operator costs a request');
    assert.equal(result.lostForGood, 0, 'OpenAI’s client has every answer in the end');
    await settled();
  });

  it('serves while the API server stands still, and answers held requests afterwards', {
    skip: apiServer === undefined && 'not a cluster of our own',
  }, async () => {
    await apply(manifest('cold', { gpuClass: 'e2e-a' }));
    await reason('cold', 'Available', 'OnDemand');
    await using running = load('steady', 4);
    await sleep(500);

    process.kill(Number(apiServer), 'SIGSTOP');
    const held = ask('cold');
    const before = running.answered;
    await sleep(Number(process.env['REFMODEL_E2E_OUTAGE_SECONDS'] ?? 20) * 1000);
    const during = running.answered - before;
    resume(Number(apiServer));

    assert.equal(await held, 200);
    const result = await running.stop();
    report('API server stopped', result);
    assert.ok(during > 0, 'nothing was answered meanwhile');
    assert.deepEqual(result.lost, []);
    await settled();
  });

  it('keeps a model warm for a lease, from before the first request, and lets it go afterwards', async () => {
    await apply(
      manifest('leased', {
        gpuClass: 'e2e-a',
        placement: 'Dedicated',
        scaling: { idleTimeout: '1s' },
      }),
    );
    await reason('leased', 'Available', 'OnDemand');
    const lease = `http://${gatewayHost}/v1/leases/e2e`;
    const body = JSON.stringify({ models: [`${namespace}/leased`], ttl_seconds: 600 });

    const made = await fetch(lease, { method: 'PUT', body });
    assert.equal(made.status, 200, await made.text());
    await reason('leased', 'Loaded', 'Resident');
    await restart('refmodel-gateway');
    const kept = await (await fetch(`http://${gatewayHost}/v1/leases`)).json();
    await sleep(5000);
    const pods = await poolPods('rfm-model-leased');
    await fetch(lease, { method: 'DELETE' });

    assert.match(JSON.stringify(kept), /"run":"e2e"/);
    assert.equal(pods.length, 1);
    await eventually(async () => {
      assert.equal((await poolPods('rfm-model-leased')).length, 0, 'the pod stays');
    }, 30_000);
  });

  it('says that there is no GPU, and starts on one as soon as there is', async () => {
    const gpu = {
      nodeSelector: { 'e2e/gpu': 'yes' },
      tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }],
      resources: { limits: { 'nvidia.com/gpu': '1' } },
    };
    await apply(classManifest('e2e-gpu', gpu));
    await apply(manifest('on-gpu', { gpuClass: 'e2e-gpu', hold: { timeout: '2m' } }));
    await reason('on-gpu', 'Available', 'OnDemand');

    const waiting = ask('on-gpu');
    await reason('on-gpu', 'Degraded', 'Unschedulable');
    const [node] = await get('nodes', '');
    assert.ok(node, 'there is a node');
    const { name } = node.metadata;
    const capacity = { 'nvidia.com/gpu': '1' };
    await kubectl(['label', 'node', name, 'e2e/gpu=yes', '--overwrite']);
    await kubectl(['taint', 'node', name, 'nvidia.com/gpu=:NoSchedule', '--overwrite']);
    const status = JSON.stringify({ status: { capacity, allocatable: capacity } });
    await kubectl(['patch', 'node', name, '--subresource=status', '--type=merge', '-p', status]);
    try {
      assert.equal(await waiting, 200);
      const [pod] = await poolPods('rfm-pool-e2e-gpu');
      assert.equal(pod?.spec['nodeName'], name);
      await reason('on-gpu', 'Degraded', 'NoFailure');
    } finally {
      await kubectl(['taint', 'node', name, 'nvidia.com/gpu:NoSchedule-']);
    }
  });
});
