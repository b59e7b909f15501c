// The monitors of the chart on a running system: a real Prometheus scrapes what they select, by the names of its ports. Needs what story.test.ts needs, a release with `monitoring.monitors.enabled`, and
// prometheus: scripts/e2e.sh sees to both.
import assert from 'node:assert/strict';
import { type ChildProcess, spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import {
  apply,
  get,
  type KubeObject,
  kubectl,
  namespace,
  referenceModel,
} from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { startPrometheus, whyNoPrometheus } from '../support/prometheus.ts';
import { scrapeConfigs } from '../support/scrape-config.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const system = 'refmodel-system';

const hasMonitors =
  spawnSync('kubectl', ['get', 'podmonitor/refmodel-models', '-n', system]).status === 0;
const why = whyNoPrometheus || (!hasMonitors && 'the release has no monitors');

interface Target {
  health: string;
  lastError: string;
  labels: { job: string; namespace: string; pod: string };
}

describe('the monitors on a cluster', { skip: why }, () => {
  const folder = temporaryFolder();
  let monitors: KubeObject[];
  let prometheus: { url: string; child: ChildProcess };

  before(async () => {
    await apply(referenceModel('scraped'));
    const body = '{"input_ids":[[1,2,3]]}';
    const url = `http://scraped.${namespace}.svc/v1/logprobs`;
    const curl = ['curl', '-sSf', '--max-time', '150', '-d', body, url];
    const json = ['-H', 'content-type: application/json'];
    await eventually(() => kubectl(['exec', '-n', namespace, 'client', '--', ...curl, ...json]));
    monitors = await get('servicemonitors,podmonitors', system);
    const configs = (await Promise.all(monitors.map(scrapeConfigs))).flat();
    prometheus = await startPrometheus(folder.path, configs);
  });
  after(async () => {
    prometheus.child.kill();
    await kubectl(['delete', 'rfm/scraped', '-n', namespace, '--wait']);
    await eventually(async () => {
      assert.deepEqual(await get('pods', namespace, 'refmodel.dev/pool'), [], 'pods are left');
    }, 120_000);
    folder[Symbol.dispose]();
  });

  async function ask<T>(path: string): Promise<T> {
    const answer = await fetch(`${prometheus.url}/api/v1/${path}`);
    return ((await answer.json()) as { data: T }).data;
  }
  async function podsOf(job: string): Promise<string[]> {
    const { activeTargets } = await ask<{ activeTargets: Target[] }>('targets?state=active');
    const targets = activeTargets.filter(({ labels }) => labels.job === job);
    for (const { health, lastError } of targets) assert.equal(health, 'up', lastError);
    return targets.map(({ labels }) => `${labels.namespace}/${labels.pod}`).sort();
  }

  const kinds = [
    {
      job: 'ServiceMonitor/refmodel-gateway',
      of: system,
      labels: 'app.kubernetes.io/component=gateway',
      metric: 'refmodel_gateway_requests_total',
    },
    {
      job: 'ServiceMonitor/refmodel-operator',
      of: system,
      labels: 'app.kubernetes.io/component=operator',
      metric: 'refmodel_operator_leading',
    },
    {
      job: 'PodMonitor/refmodel-models',
      of: namespace,
      labels: 'refmodel.dev/pool',
      metric: 'refmodel_server_requests_total',
    },
  ];

  it('are those that are tried here', () => {
    assert.deepEqual(
      monitors.map(({ kind, metadata }) => `${kind}/${metadata.name}`).sort(),
      kinds.map(({ job }) => job).sort(),
    );
  });

  for (const { job, of, labels, metric } of kinds) {
    it(`${job} finds each pod once, and what it measures`, async () => {
      const pods = (await get('pods', of, labels)).map(({ metadata }) => `${of}/${metadata.name}`);

      await eventually(async () => {
        assert.deepEqual(await podsOf(job), pods.sort(), 'the targets are other pods');
        const { result } = await ask<{ result: unknown[] }>(`query?query=${metric}`);
        assert.ok(result.length > 0, `no ${metric}`);
      });
    });
  }
});
