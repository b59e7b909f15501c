// The operator and a gateway with thousands of models, on a real API server (test/cluster, pods played by kwok):
// `npm run build && node --import tsx bench/control-plane.ts [models…]`. Both run as the processes that they are.
import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type EndpointSlice,
  type KubeObject,
  type Resource,
  resources,
} from '../operator/kube/resources.ts';
import { takenBy } from '../server/metrics/runners.ts';
import { classManifest, modelManifest } from '../test/support/builders.ts';
import {
  type ControlPlane,
  fakeNode,
  hasKwok,
  ownAddress,
  startControlPlane,
} from '../test/support/control-plane.ts';
import { eventually } from '../test/support/eventually.ts';

const sizes = process.argv.slice(2).map(Number);
const perNamespace = 100;
const edits = 100;
const woken = 100;
const singles = 40;
/** After a pod is there: what Kubernetes and kwok make of it is no part of the next wake. */
const restMs = 1500;
/** Until what Kubernetes makes of the new Deployments is over. */
const settleMs = 10_000;
const system = 'refmodel-bench';
const ports = { operator: 18_081, gateway: 18_080, gatewayAdmin: 18_082 };
const never = new AbortController().signal;

async function grow(plane: ControlPlane, from: number, to: number): Promise<void> {
  const startedAt = Date.now();
  for (let i = from; i < to; i += perNamespace) {
    const namespace = `bench-${i / perNamespace}`;
    const names = Array.from({ length: perNamespace }, (_, j) => `m-${j}`);
    await plane.kubectl(['create', 'namespace', namespace]);
    await apply(
      plane,
      names.map((name) =>
        modelManifest({
          metadata: { name, namespace, uid: undefined },
          spec: { gpuClass: 'bench' },
        }),
      ),
    );
  }
  while ((await availableModels(plane)) < to) await sleep(3000); // listing them all is work too
  console.log(`${to} models: made and available after ${(Date.now() - startedAt) / 1000} s`);
}

async function availableModels(plane: ControlPlane): Promise<number> {
  const text = await plane.kubectl([
    'get',
    'rfm',
    '-A',
    '-o',
    'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Available")].status}{"\\n"}{end}',
  ]);
  return text.split('\n').filter((line) => line === 'True').length;
}

async function observe(
  plane: ControlPlane,
  operator: Part,
  gateway: Part,
  size: number,
): Promise<void> {
  await sleep(20_000);
  const before = [await operator.look(), await gateway.look()];
  const idleSeconds = 30;
  await sleep(idleSeconds * 1000);
  const after = [await operator.look(), await gateway.look()];
  for (const [i, name] of (['operator', 'gateway'] as const).entries()) {
    const [was, is] = [before[i], after[i]];
    if (!was || !is) continue;
    const cpu = ((is.cpuSeconds - was.cpuSeconds) / idleSeconds) * 100;
    console.log(
      `  ${name} idle: ${is.residentMiB.toFixed(0)} MiB, ${cpu.toFixed(1)} % of a core, ${is.writes - was.writes} writes`,
    );
  }
  const took: number[] = [];
  for (let i = 0; i < edits; i++) took.push(await edit(plane, i % (size / perNamespace), i));
  console.log(`  edit → status: p50 ${at(took, 0.5)}, p95 ${at(took, 0.95)} ms`);
}

/** From the answer of the edit to the status that is about it. */
async function edit(plane: ControlPlane, group: number, i: number): Promise<number> {
  const ref = { namespace: `bench-${group}`, name: `m-${i % perNamespace}` };
  const change = { spec: { limits: { maxSequenceTokens: 1000 + i } } };
  const { metadata } = await plane.client.patch(resources.referenceModels, ref, change, never);
  const startedAt = performance.now();
  for (;;) {
    const { status } = await plane.client.get(resources.referenceModels, ref, never);
    if (status?.observedGeneration === metadata.generation) return performance.now() - startedAt;
    await sleep(5);
  }
}

interface Parts {
  readonly operator: Part;
  readonly gateway: Part;
}

/** Models with pods of their own, all asked for in one moment: until each has a pod. */
async function wake(plane: ControlPlane, { operator, gateway }: Parts): Promise<void> {
  const namespace = 'bench-wake';
  await apply(plane, [fakeNode('bench-1'), fakeNode('bench-2')]);
  await plane.kubectl(['create', 'namespace', namespace]);
  const names = Array.from({ length: singles + woken }, (_, i) => `w-${i}`);
  const spec = { gpuClass: 'bench', placement: 'Dedicated' };
  await apply(
    plane,
    names.map((name) => modelManifest({ metadata: { name, namespace, uid: undefined }, spec })),
  );
  await eventually(async () => {
    const { items } = await plane.client.list(resources.deployments, { namespace }, never);
    if (items.length < names.length) throw new Error(`${items.length} pools`);
  }, 120_000);
  await sleep(settleMs);
  const startedAt = Date.now();
  const scaled = follow(plane, namespace, 'deployments', startedAt);
  const created = follow(plane, namespace, 'pods', startedAt);
  const [alone, together] = [names.slice(0, singles), names.slice(singles)];
  const seen: number[] = [];
  const answered: number[] = [];
  for (const name of alone) {
    const askedAt = Date.now() - startedAt;
    const wokenMs = await gateway.wokenMs();
    const leave = new AbortController();
    void hold(`${namespace}/${name}`, leave.signal);
    const pool = `rfm-model-${name}`;
    await eventually(() => {
      const pods = [...created.times.keys()];
      if (!pods.some((pod) => pod.startsWith(`${pool}-`))) throw new Error('no pod');
    });
    leave.abort(); // nobody answers in a pod that kwok plays
    seen.push((scaled.times.get(pool) ?? 0) - askedAt);
    answered.push((await gateway.wokenMs()) - wokenMs);
    await sleep(restMs);
  }
  const both = (times: readonly number[]) => `p50 ${at(times, 0.5)}, p95 ${at(times, 0.95)} ms`;
  console.log(`${singles} models at zero, one after another, ${restMs} ms of rest between`);
  console.log(`  request → /scale seen by a watch: ${both(seen)} (wanted 100)`);
  console.log(`  ${seen.map((time) => time.toFixed(0)).join(' ')}`);
  console.log(`  need → /scale answered, by the gateway's own clock: ${both(answered)}`);
  const before = await operator.look();
  const rushAt = Date.now() - startedAt;
  for (const name of together) void hold(`${namespace}/${name}`, never);
  await eventually(() => {
    if (created.times.size < names.length) throw new Error(`${created.times.size} pods`);
  }, 120_000);
  scaled.stop.abort();
  created.stop.abort();
  const figures = (times: ReadonlyMap<string, number>) => {
    const took = [...times.values()].map((time) => time - rushAt).filter((time) => time > 0);
    return `p50 ${at(took, 0.5)}, p95 ${at(took, 0.95)} ms`;
  };
  console.log(`${woken} models woken at once`);
  console.log(`  request → /scale written: ${figures(scaled.times)}`);
  console.log(`  request → pod created: ${figures(created.times)} (wanted 10000)`);
  const { cpuSeconds, writes } = await operator.look();
  const cpu = (cpuSeconds - before.cpuSeconds).toFixed(1);
  console.log(`  operator until then: ${writes - before.writes} writes, ${cpu} s of a core`);
}

/** When each object of the namespace was first seen with something to run, after `startedAt`. */
function follow(
  plane: ControlPlane,
  namespace: string,
  kind: 'pods' | 'deployments',
  startedAt: number,
) {
  const stop = new AbortController();
  const times = new Map<string, number>();
  const resource: Resource<KubeObject> = resources[kind];
  const run = async () => {
    const { resourceVersion } = await plane.client.list(resource, { namespace }, never);
    const options = { namespace, resourceVersion, timeoutSeconds: 300 };
    for await (const { object } of plane.client.watch(resource, options, stop.signal)) {
      const name = object.metadata?.name ?? '';
      const isOn = kind === 'pods' || replicasOf(object) > 0;
      if (isOn && !times.has(name)) times.set(name, Date.now() - startedAt);
    }
  };
  run().catch(() => {}); // stopped
  return { stop, times };
}

const replicasOf = (object: object): number =>
  'spec' in object ? ((object.spec as { replicas?: number }).replicas ?? 0) : 0;

async function hold(model: string, signal: AbortSignal): Promise<void> {
  const body = JSON.stringify({ model, input_ids: [[1]] });
  const url = `http://127.0.0.1:${ports.gateway}/v1/logprobs`;
  await fetch(url, { method: 'POST', body, signal }).catch(
    () => {}, // it is given up, or the gateway ends before
  );
}

/** A process of refmodel, with the figures that a person would look at. */
class Part implements Disposable {
  readonly #child: ChildProcess;
  readonly #port: number;

  constructor(plane: ControlPlane, role: 'operator' | 'gateway', settings: object) {
    const given = Object.entries(settings).map(([name, value]) => [name, String(value)]);
    this.#port = role === 'operator' ? ports.operator : ports.gatewayAdmin;
    this.#child = spawn(process.execPath, ['dist/refmodel.js', role], {
      env: {
        PATH: process.env['PATH'],
        KUBECONFIG: plane.kubeconfig,
        REFMODEL_NAMESPACE: system,
        REFMODEL_LOG_LEVEL: 'warn',
        ...Object.fromEntries(given),
      },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  }

  async look(): Promise<{ residentMiB: number; cpuSeconds: number; writes: number }> {
    const metrics = await this.#metrics();
    return {
      residentMiB: ((await takenBy(this.#child.pid ?? 0, 'bytes')) ?? NaN) / 2 ** 20,
      cpuSeconds: sum(metrics, 'process_cpu_seconds_total'),
      writes: sum(metrics, 'refmodel_operator_writes_total'),
    };
  }

  /** Of a gateway: from needs to answers of /scale, all that there were. Milliseconds. */
  async wokenMs(): Promise<number> {
    return sum(await this.#metrics(), 'refmodel_gateway_wake_seconds_sum') * 1000;
  }

  async #metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.#port}/metrics`)).text();
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }
}

function sum(metrics: string, name: string): number {
  const lines = metrics.matchAll(new RegExp(`^${name}(?:{.*})? (.+)$`, 'gm'));
  return [...lines].reduce((total, [, value]) => total + Number(value), 0);
}

/** How the operator finds the gateway. */
async function makeGatewaySlice(plane: ControlPlane): Promise<void> {
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: 'gateways',
      namespace: system,
      labels: { 'kubernetes.io/service-name': 'refmodel-gateway-admin' },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: [ownAddress ?? '127.0.0.1'] }],
    ports: [{ name: 'admin', port: ports.gatewayAdmin }],
  };
  await apply(plane, [slice]);
}

async function apply(plane: ControlPlane, items: object[]): Promise<void> {
  await plane.kubectl(
    ['apply', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  );
}

function at(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor(share * sorted.length)] ?? Number.NaN).toFixed(0);
}

console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads`);
{
  await using plane = await startControlPlane();
  await plane.kubectl(['create', 'namespace', system]);
  await apply(plane, [classManifest({ metadata: { name: 'bench' } })]);
  await makeGatewaySlice(plane);
  using gateway = new Part(plane, 'gateway', {
    REFMODEL_PORT: ports.gateway,
    REFMODEL_ADMIN_PORT: ports.gatewayAdmin,
  });
  using operator = new Part(plane, 'operator', {
    REFMODEL_POD_NAME: 'bench',
    REFMODEL_SERVER_IMAGE: 'refmodel.local/none:1',
    REFMODEL_ADMIN_PORT: ports.operator,
  });
  let made = 0;
  for (const size of sizes.length > 0 ? sizes : [1000, 3000]) {
    if (size === 0) continue; // wakes only
    await grow(plane, made, size);
    made = size;
    await observe(plane, operator, gateway, size);
  }
  if (hasKwok) await wake(plane, { operator, gateway });
}
