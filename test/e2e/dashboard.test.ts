// The dashboard of the chart, each of its queries asked of a real Prometheus that scrapes what runs here: a gateway that holds,
// wakes and forwards, a server that converts, loads and scores, an operator that hears of it from that gateway. The
// Kubernetes API and its pods are played. Needs prometheus: scripts/e2e.sh gets it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseConfig } from '../../common/config.ts';
import { addHealth, createApp, type Listening, listen } from '../../common/http.ts';
import { silentLogger } from '../../common/log.ts';
import { controllerConfig } from '../../operator/controller/config.ts';
import { build } from '../../operator/controller/main.ts';
import { ControllerMetrics } from '../../operator/controller/metrics.ts';
import { classManifest, modelManifest } from '../support/builders.ts';
import { readyPod } from '../support/facts.ts';
import { endpoint, startGateway, type TestGateway } from '../support/gateway-kit.ts';
import { clientOf } from '../support/kube-kit.ts';
import { KubeServer } from '../support/kube-server.ts';
import { startPrometheus, whyNoPrometheus } from '../support/prometheus.ts';
import { checkpoint, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

interface Dashboard {
  panels: { type: string; title: string; targets?: { expr: string }[] }[];
}
const { panels } = JSON.parse(
  readFileSync('charts/refmodel/files/dashboard.json', 'utf8'),
) as Dashboard;

const host = '127.0.0.1';

/** As Grafana fills in its variables. */
const filledIn = (expr: string): string =>
  expr.replaceAll('$__rate_interval', '30s').replaceAll('$model', '.*');

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

describe('the dashboard', { skip: whyNoPrometheus }, () => {
  const folder = temporaryFolder();
  const stop = new AbortController();
  let api: KubeServer;
  let pod: Awaited<ReturnType<typeof startServerProcess>>;
  let gateway: TestGateway;
  let admin: Listening;
  let operator: Awaited<ReturnType<typeof startOperator>>;
  let prometheus: Awaited<ReturnType<typeof startPrometheus>>;
  let working: Promise<void>;

  before(async () => {
    api = await KubeServer.start();
    pod = await startServerProcess(
      [checkpoint('rl/tiny', 'examples/models/tiny-python-llama', { quantization: 'Int8' })],
      { REFMODEL_CACHE_BYTES: String(2 ** 30) },
    );
    gateway = await startGateway();
    admin = await listen(gateway.gateway.admin, 0, host);
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
      ports: [{ port: admin.port }],
    });
    operator = await startOperator(api);
    prometheus = await startScraping();
    await sleep(3000); // what has not happened yet is seen at zero first
    working = work();
  });
  after(async () => {
    stop.abort();
    await working;
    prometheus.child.kill();
    await gateway.gateway.close([gateway.traffic, admin], 0);
    await operator.end();
    await pod[Symbol.asyncDispose]();
    await api[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  function startScraping() {
    const targets = {
      gateway: `${host}:${admin.port}`,
      operator: `${host}:${operator.port}`,
      models: new URL(pod.url).host,
    };
    const scrapes = Object.entries(targets).map(([name, target]) => ({
      job_name: `refmodel-${name}`,
      static_configs: [{ targets: [target], labels: { namespace: 'rl', pod: `${name}-0` } }],
    }));
    return startPrometheus(folder.path, scrapes);
  }

  /** Requests until the end, good and bad; now and then their pod is away, so that they are held. */
  async function work(): Promise<void> {
    const { hostname, port } = new URL(pod.url);
    const ready = endpoint({ id: 'pod-1', host: hostname, port: Number(port) });
    gateway.backend.onWake = () => void setTimeout(() => gateway.backend.up(ready), 300);
    const ask = async (model: string, body: object) => {
      const answer = await fetch(`${gateway.url}/v1/logprobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model, ...body }),
      });
      await answer.text();
    };
    for (let round = 0; !stop.signal.aborted; round++) {
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
      await ask('rl/tiny', rows);
      await ask('rl/tiny', { input_ids: [] });
      await ask('rl/nobody', rows);
      if (round % 10 === 9) gateway.backend.down(ready);
      await sleep(200);
    }
  }

  async function until(isTrue: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 120_000; ; ) {
      if (await isTrue().catch(() => false)) return;
      assert.ok(Date.now() < end, 'it takes too long');
      await sleep(500);
    }
  }

  /** Values that the query has now; what is not a number shows as nothing. */
  async function valuesOf(expr: string): Promise<number[]> {
    const answer = await fetch(
      `${prometheus.url}/api/v1/query?query=${encodeURIComponent(filledIn(expr))}`,
    );
    const body = (await answer.json()) as {
      status: string;
      error?: string;
      data: { result: { value: [number, string] }[] };
    };
    assert.equal(body.status, 'success', `${body.error}: ${expr}`);
    return body.data.result.map(({ value }) => Number(value[1])).filter(Number.isFinite);
  }

  it('has panels', () => {
    assert.ok(panels.filter(({ type }) => type === 'timeseries').length > 30);
  });

  for (const { title, targets = [] } of panels) {
    for (const [i, { expr }] of targets.entries()) {
      it(`${title}: query ${i + 1} has data`, async () => {
        await until(async () => (await valuesOf(expr)).length > 0).catch(() =>
          assert.fail(`no data: ${filledIn(expr)}`),
        );
      });
    }
  }
});
