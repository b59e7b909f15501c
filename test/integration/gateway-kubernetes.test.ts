// The gateway over the Kubernetes backend: a fake API server, real pods, real sockets.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../common/clock.ts';
import { type Listening, listen } from '../../common/http.ts';
import { silentLogger } from '../../common/log.ts';
import { defaultClassAnnotation } from '../../crds/gpu-class.ts';
import { noReviews } from '../../operator/gateway/access/reviews.ts';
import { KubernetesBackend } from '../../operator/gateway/backend/kubernetes.ts';
import { createGateway, type Gateway } from '../../operator/gateway/gateway.ts';
import { labelNames } from '../../operator/pool.ts';
import { classManifest, modelManifest } from '../support/builders.ts';
import { codeOf, eventually, FakePod, settings } from '../support/gateway-kit.ts';
import { clientOf } from '../support/kube-kit.ts';
import { KubeServer } from '../support/kube-server.ts';

const collections = {
  models: 'refmodel.dev/v1alpha1/referencemodels',
  classes: 'refmodel.dev/v1alpha1/gpuclasses',
  slices: 'discovery.k8s.io/v1/endpointslices',
  deployments: 'apps/v1/deployments',
};

/** A cluster with one model that sleeps. `schedule` is what the Deployment's controller would do. */
class Cluster {
  readonly server: KubeServer;
  readonly pod: FakePod;

  private constructor(server: KubeServer, pod: FakePod) {
    this.server = server;
    this.pod = pod;
  }

  static async start(): Promise<Cluster> {
    const server = await KubeServer.start();
    const annotations = { [defaultClassAnnotation]: 'true' };
    server.put(collections.classes, classManifest({ metadata: { annotations } }));
    server.put(collections.models, modelManifest());
    const cluster = new Cluster(server, await FakePod.start());
    cluster.scaleTo(0);
    return cluster;
  }

  get replicas(): unknown {
    const found = this.server.get(collections.deployments, 'rfm-pool-cpu', 'rl');
    return (found?.['spec'] as { replicas?: number } | undefined)?.replicas;
  }

  get scaleWrites(): number {
    return this.server.requests.filter(({ method }) => method === 'PUT').length;
  }

  scaleTo(replicas: number): void {
    const metadata = { name: 'rfm-pool-cpu', namespace: 'rl' };
    this.server.put(collections.deployments, { metadata, spec: { replicas } });
  }

  /** The pod is ready, or gone. */
  publish(isReady: boolean): void {
    const { port, host, id } = this.pod.endpoint;
    this.server.put(collections.slices, {
      addressType: 'IPv4',
      metadata: { name: 's', namespace: 'rl', labels: { [labelNames.pool]: 'rfm-pool-cpu' } },
      ports: [{ port }],
      endpoints: [{ addresses: [host], conditions: { ready: isReady }, targetRef: { name: id } }],
    });
  }

  async close(): Promise<void> {
    if (this.pod.server.listening) await this.pod.close();
    await this.server[Symbol.asyncDispose]();
  }
}

class Process {
  readonly gateway: Gateway;
  readonly backend: KubernetesBackend;
  readonly traffic: Listening;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;
  readonly #client: ReturnType<typeof clientOf>;

  private constructor(parts: {
    gateway: Gateway;
    backend: KubernetesBackend;
    traffic: Listening;
    client: ReturnType<typeof clientOf>;
  }) {
    this.gateway = parts.gateway;
    this.backend = parts.backend;
    this.traffic = parts.traffic;
    this.#client = parts.client;
    this.#running = parts.backend.run(this.#stop.signal).catch(() => {});
  }

  static async start(cluster: Cluster, holdTimeoutMs = 30_000): Promise<Process> {
    const client = clientOf(cluster.server, { timeoutMs: 2000 });
    const common = { clock: systemClock, log: silentLogger };
    const backend = new KubernetesBackend({
      client,
      namespaces: [],
      leaseNamespace: 'sys',
      ...common,
    });
    const limits = settings({ holdTimeoutMs });
    const access = { reviews: noReviews, guardsManagement: false, hasConsole: false };
    const gateway = createGateway({ name: 'g', backend, settings: limits, ...access, ...common });
    const traffic = await listen(gateway.traffic, 0, '127.0.0.1');
    return new Process({ gateway, backend, traffic, client });
  }

  send(body = '{"model":"rl/tiny"}'): Promise<Response> {
    const url = `http://127.0.0.1:${this.traffic.port}/v1/logprobs`;
    return fetch(url, { method: 'POST', body });
  }

  get held(): number {
    return this.gateway.report().models.reduce((sum, { held }) => sum + held, 0);
  }

  synced(): Promise<void> {
    return eventually(() => this.backend.isSynced(), 'synced');
  }

  async close(): Promise<void> {
    await this.gateway.close([this.traffic], 0);
    this.#stop.abort(new Error('the test is over'));
    await this.#running;
    this.#client.close();
  }
}

describe('the gateway of a cluster', () => {
  it('holds twenty requests, writes the scale once, and answers all when the pod is ready', async () => {
    const cluster = await Cluster.start();
    const process = await Process.start(cluster);
    await process.synced();

    const answers = Array.from({ length: 20 }, () => process.send());
    await eventually(() => process.held === 20 && cluster.replicas === 1);
    cluster.publish(true);
    const statuses = (await Promise.all(answers)).map(({ status }) => status);

    assert.deepEqual(statuses, Array(20).fill(200));
    assert.equal(cluster.scaleWrites, 1);
    assert.equal(cluster.pod.received.length, 20);
    await process.close();
    await cluster.close();
  });

  it('wakes once though two gateways ask at the same time', async () => {
    const cluster = await Cluster.start();
    const processes = [await Process.start(cluster), await Process.start(cluster)];
    await Promise.all(processes.map((process) => process.synced()));

    const answers = processes.map((process) => process.send());
    await eventually(() => processes.every(({ held }) => held === 1) && cluster.replicas === 1);
    cluster.publish(true);

    for (const answer of answers) assert.equal((await answer).status, 200);
    assert.equal(cluster.replicas, 1);
    await Promise.all(processes.map((process) => process.close()));
    await cluster.close();
  });

  it('repairs a scale-down that crossed its wake', async () => {
    const cluster = await Cluster.start();
    const process = await Process.start(cluster);
    await process.synced();
    const answer = process.send();
    await eventually(() => cluster.replicas === 1);

    cluster.scaleTo(0);
    await eventually(() => cluster.replicas === 1, 'woken again');
    cluster.publish(true);

    assert.equal((await answer).status, 200);
    await process.close();
    await cluster.close();
  });

  it('never calls a model unknown after a restart at zero replicas', async () => {
    const cluster = await Cluster.start();
    cluster.server.stall();
    const process = await Process.start(cluster);

    const response = await process.send();

    assert.deepEqual([response.status, await codeOf(response)], [503, 'NOT_READY']);
    await process.close();
    await cluster.close();
  });

  it('serves from ready pods while the API server is away', async () => {
    const cluster = await Cluster.start();
    cluster.publish(true);
    const process = await Process.start(cluster);
    await process.synced();

    cluster.server.stall();
    cluster.server.dropWatches();

    assert.equal((await process.send()).status, 200);
    await process.close();
    await cluster.close();
  });

  it('holds a request while the API server refuses the wake, and asks again', async () => {
    const cluster = await Cluster.start();
    const process = await Process.start(cluster);
    await process.synced();
    cluster.server.failNext({ status: 500, reason: 'InternalError' });

    const answer = process.send();
    await eventually(() => cluster.replicas === 1, 'woken at the second try');
    cluster.publish(true);

    assert.equal((await answer).status, 200);
    await process.close();
    await cluster.close();
  });

  it('answers a held request MODEL_NOT_FOUND when its object is deleted', async () => {
    const cluster = await Cluster.start();
    const process = await Process.start(cluster);
    await process.synced();
    const answer = process.send();
    await eventually(() => process.held === 1);

    cluster.server.remove(collections.models, 'tiny', 'rl');

    assert.equal(await codeOf(await answer), 'MODEL_NOT_FOUND');
    await process.close();
    await cluster.close();
  });

  it('loses no request when the pod is replaced under load', async () => {
    const cluster = await Cluster.start();
    cluster.scaleTo(1);
    cluster.publish(true);
    const process = await Process.start(cluster);
    await process.synced();
    const { port } = cluster.pod.endpoint;
    const statuses: number[] = [];
    const client = async () => {
      for (let i = 0; i < 25; i++) statuses.push((await process.send()).status);
    };

    const clients = Promise.all([client(), client(), client(), client()]);
    await eventually(() => statuses.length > 20);
    cluster.pod.server.close();
    cluster.pod.server.closeIdleConnections();
    await eventually(() => !cluster.pod.server.listening);
    cluster.publish(false);
    const next = await FakePod.start({ port });
    cluster.publish(true);
    await clients;

    assert.deepEqual(statuses, Array(100).fill(200));
    await process.close();
    await next.close();
    await cluster.close();
  });
});
