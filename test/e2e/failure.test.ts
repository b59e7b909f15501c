// What breaks in a week-long run, on a real cluster: parts are rolled and killed, the API server stalls, classes and
// models go. Needs what story.test.ts needs, and to reach Services from this process: on other clusters it is skipped.
import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { apply, get, getOne, type KubeObject, killHard, kubectl } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { Load, type LoadResult } from '../support/load.ts';

const namespace = process.env['REFMODEL_E2E_NAMESPACE'] ?? 'rl';
const system = 'refmodel-system';
const gatewayHost = `refmodel-gateway.${system}.svc`;
/** Process id of the API server of the cluster that scripts/e2e.sh made. */
const apiServer = process.env['REFMODEL_E2E_APISERVER_PID'] || undefined;

const isReachable = await lookup(gatewayHost).then(
  () => true,
  () => false,
);
const skip = isReachable ? false : `${gatewayHost} has no address here`;

interface Golden {
  rows: { input_ids: number[] }[];
}
const golden = JSON.parse(
  readFileSync('examples/models/tiny-python-llama/golden.json', 'utf8'),
) as Golden;
const input_ids = [golden.rows[0]?.input_ids ?? [1]];

const manifest = (name: string, spec: object = {}) => ({
  apiVersion: 'refmodel.dev/v1alpha1',
  kind: 'ReferenceModel',
  metadata: { name, namespace },
  spec: {
    model: { persistentVolumeClaim: { claimName: 'models', path: 'tiny-python-llama' } },
    quantization: 'None',
    scaling: { idleTimeout: '10m' },
    ...spec,
  },
});
const classManifest = (name: string, spec: object = {}) => ({
  apiVersion: 'refmodel.dev/v1alpha1',
  kind: 'GPUClass',
  metadata: { name },
  spec: {
    executionProvider: 'CPU',
    memory: '1Gi',
    resources: { requests: { cpu: '50m', memory: '200Mi' } },
    ...spec,
  },
});

const url = `http://${gatewayHost}/v1/logprobs`;
const load = (name: string, callers = 8) =>
  new Load({ url, body: { model: `${namespace}/${name}`, input_ids }, callers, pauseMs: 20 });

async function ask(name: string): Promise<number> {
  const body = JSON.stringify({ model: `${namespace}/${name}`, input_ids });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', headers, body });
  await answer.arrayBuffer();
  return answer.status;
}

const conditionOf = ({ status }: KubeObject, type: string) =>
  ((status?.['conditions'] ?? []) as { type: string; status: string; reason: string }[]).find(
    (condition) => condition.type === type,
  );
const reason = (name: string, type: string, wanted: string, timeoutMs = 60_000) =>
  eventually(async () => {
    const found = conditionOf(await getOne('rfm', namespace, name), type);
    assert.equal(found?.reason, wanted, `${type} of ${name} is ${JSON.stringify(found)}`);
  }, timeoutMs);
const poolPods = async (pool: string) =>
  (await get('pods', namespace, `refmodel.dev/pool=${pool}`)).filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );
const restart = async (deployment: string, where = system) => {
  await kubectl(['rollout', 'restart', '-n', where, `deployment/${deployment}`]);
  await kubectl(['rollout', 'status', '-n', where, `deployment/${deployment}`, '--timeout=170s']);
};
/** Until the pods that are too many are gone. */
async function scaleOperator(replicas: number): Promise<void> {
  await kubectl(['scale', '-n', system, 'deployment/refmodel-operator', `--replicas=${replicas}`]);
  await eventually(async () => {
    const pods = await get('pods', system, 'app.kubernetes.io/component=operator');
    assert.ok(pods.length <= replicas, `${pods.length} operators`);
  }, 60_000);
}
const settled = () =>
  Promise.all(
    ['gateway', 'operator'].map((part) =>
      kubectl(['rollout', 'status', '-n', system, `deployment/refmodel-${part}`, '--timeout=170s']),
    ),
  );

/** The parent too: nsenter stops itself when its child does. */
function resume(pid: number): void {
  const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  for (const each of [Number(parent), pid]) process.kill(each, 'SIGCONT');
}

const figures: string[] = [];
function report(what: string, { answered, lost, slowestMs }: LoadResult): void {
  const share = ((100 * lost.length) / Math.max(1, answered + lost.length)).toFixed(3);
  figures.push(
    `${what}: ${answered} answered, ${lost.length} lost (${share} %), ${slowestMs} ms at most`,
  );
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
    let killed = 0;
    let gateways = 0;
    const victims = [
      [system, 'app.kubernetes.io/component=gateway'],
      [system, 'app.kubernetes.io/component=operator'],
      [namespace, 'refmodel.dev/pool'],
    ] as const;
    for (let i = 0; i < Number(process.env['REFMODEL_E2E_KILLS'] ?? 6); i++) {
      await sleep(5000);
      const [where, selector] = victims[i % victims.length] ?? victims[0];
      const [victim] = await get('pods', where, selector);
      const ended = victim ? await killHard(victim) : 0;
      killed += ended;
      if (i % victims.length === 0) gateways += ended;
    }
    await sleep(5000);

    const result = await running.stop();
    report(`${killed} processes killed`, result);
    assert.ok(killed > 0, 'nothing was killed');
    for (const line of result.lost) console.log(`  lost: ${line}`);
    // A gateway that is killed takes its connections along, and is called until kube-proxy knows.
    const ofGateways = gateways * callers;
    assert.ok(result.lost.length <= 0.001 * result.answered + ofGateways, result.lost.join('\n'));
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

  it('wakes a model while no operator runs', async () => {
    await apply(manifest('alone', { gpuClass: 'e2e-a', placement: 'Dedicated' }));
    await reason('alone', 'Available', 'OnDemand');
    await scaleOperator(0);
    try {
      assert.equal(await ask('alone'), 200);
    } finally {
      await scaleOperator(2);
      await settled();
    }
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

  it('deletes models, classes and namespaces in any order, with the operator up or down', async () => {
    const name = 'e2e-gone';
    await kubectl(['create', 'namespace', name]);
    const gone = {
      ...manifest('gone', { gpuClass: 'e2e-a' }),
      metadata: { name: 'gone', namespace: name },
    };
    await apply(gone);
    await eventually(async () => {
      assert.equal((await get('deployments', name)).length, 1, 'no pool yet');
    });
    await kubectl(['delete', 'gpuclass', 'e2e-a', '--timeout=30s']);
    await scaleOperator(0);
    await kubectl(['delete', 'namespace', name, '--timeout=60s']);
    await kubectl(['delete', 'rfm', 'cold', '-n', namespace, '--timeout=30s']);
    await scaleOperator(2);
    await settled();

    await eventually(async () => {
      const left = await get('deployments', namespace, 'refmodel.dev/pool=rfm-pool-e2e-a');
      assert.deepEqual(
        left.map(({ metadata }) => metadata.name),
        [],
      );
    }, 60_000);
    assert.equal(await ask('steady'), 200);
  });
});
