// A system at work and a real Prometheus that scrapes it: a gateway that holds, wakes and forwards, a server that converts,
// loads and scores, an operator that hears of it from that gateway. The Kubernetes API and its pods are played.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseConfig } from '../../common/config.ts';
import { addHealth, createApp, listen } from '../../common/http.ts';
import { silentLogger } from '../../common/log.ts';
import { controllerConfig } from '../../operator/controller/config.ts';
import { build } from '../../operator/controller/main.ts';
import { ControllerMetrics } from '../../operator/controller/metrics.ts';
import { classManifest, modelManifest } from './builders.ts';
import { readyPod } from './facts.ts';
import { endpoint, startGateway, type TestGateway } from './gateway-kit.ts';
import { clientOf } from './kube-kit.ts';
import { KubeServer } from './kube-server.ts';
import { startPrometheus } from './prometheus.ts';
import { checkpoint, startServerProcess } from './server-process.ts';
import { temporaryFolder } from './temporary-folder.ts';

const host = '127.0.0.1';

/** The operator, in this process; its pods and objects are those of the test. */
async function startOperator(server: KubeServer) {
  const config = parseConfig(controllerConfig, {
    REFMODEL_NAMESPACE: 'sys',
    REFMODEL_POD_NAME: 'operator-0',
    REFMODEL_SERVER_IMAGE: 'refmodel:1',
    REFMODEL_LEADER_ELECTION: 'false',
  });
  const metrics = new ControllerMetrics();
  const client = clientOf(server, { observe: (call) => metrics.apiCall(call) });
  const built = build(config, { client, log: silentLogger, metrics });
  const stop = new AbortController();
  const ended = built.run(stop.signal).catch((err: unknown) => err);
  const app = createApp();
  addHealth(app, { isReady: () => true }, metrics.registry);
  const admin = await listen(app, 0, host);
  return {
    port: admin.port,
    async end() {
      stop.abort(new Error('end of test'));
      await ended;
      client.close();
      await admin.close();
    },
  };
}

export interface WatchedSystem extends AsyncDisposable {
  /** Of the Prometheus. */
  readonly url: string;
}

export async function startWatchedSystem(): Promise<WatchedSystem> {
  const folder = temporaryFolder();
  const stop = new AbortController();
  const api = await KubeServer.start();
  const pod = await startServerProcess(
    [checkpoint('rl/tiny', 'examples/models/tiny-python-llama', { quantization: 'Int8' })],
    { REFMODEL_CACHE_BYTES: String(2 ** 30) },
  );
  const gateway = await startGateway();
  const admin = await listen(gateway.gateway.admin, 0, host);
  putObjects(api, admin.port);
  const operator = await startOperator(api);
  const targets = {
    gateway: `${host}:${admin.port}`,
    operator: `${host}:${operator.port}`,
    models: new URL(pod.url).host,
  };
  const scrapes = Object.entries(targets).map(([name, target]) => ({
    job_name: `refmodel-${name}`,
    static_configs: [{ targets: [target], labels: { namespace: 'rl', pod: `${name}-0` } }],
  }));
  const prometheus = await startPrometheus(folder.path, scrapes);
  await sleep(3000); // what has not happened yet is seen at zero first
  const working = work(gateway, new URL(pod.url), stop.signal);
  return {
    url: prometheus.url,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await working;
      prometheus.child.kill();
      await gateway.gateway.close([gateway.traffic, admin], 0);
      await operator.end();
      await pod[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

function putObjects(api: KubeServer, gatewayPort: number): void {
  api.put('refmodel.dev/v1alpha1/gpuclasses', classManifest());
  api.put('refmodel.dev/v1alpha1/referencemodels', modelManifest({ spec: { gpuClass: 'cpu' } }));
  api.put('v1/pods', readyPod() as never);
  api.put('discovery.k8s.io/v1/endpointslices', {
    metadata: {
      name: 'gateways',
      namespace: 'sys',
      labels: { 'kubernetes.io/service-name': 'refmodel-gateway-admin' },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: [host] }],
    ports: [{ port: gatewayPort }],
  });
}

/** Requests until the signal fires, good and bad; now and then their pod is away, so that they are held. */
async function work(gateway: TestGateway, pod: URL, signal: AbortSignal): Promise<void> {
  const ready = endpoint({ id: 'pod-1', host: pod.hostname, port: Number(pod.port) });
  gateway.backend.onWake = () => void setTimeout(() => gateway.backend.up(ready), 300);
  const ask = async (model: string, body: object) => {
    const answer = await fetch(`${gateway.url}/v1/logprobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, ...body }),
    });
    await answer.text();
  };
  const rows = {
    input_ids: [
      [1, 622, 201],
      [1, 622],
    ],
    policy_logprobs: [
      [0, -1, -1],
      [0, -1],
    ],
  };
  for (let round = 0; !signal.aborted; round++) {
    await ask('rl/tiny', rows);
    await ask('rl/tiny', { input_ids: [] });
    await ask('rl/nobody', rows);
    if (round % 10 === 9) gateway.backend.down(ready);
    await sleep(200);
  }
}
