// The alerts of the chart, as Prometheus' own promtool evaluates them. Needs promtool: scripts/e2e.sh installs it.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { alerts, rulesFile } from '../../scripts/alerts.ts';

const run = promisify(execFile);
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

/** Series → samples a minute, in promtool's notation: 0+5x30 is 0 5 10 … 150. */
type Series = Record<string, string>;
interface Case {
  readonly fires: Series;
  readonly rests: Series;
  /** By when, in minutes. Default: 20. */
  readonly after?: number;
}

const condition = (type: string) =>
  `refmodel_operator_model_condition{model="rl/a",condition="${type}"}`;
const server = (name: string, labels = '') =>
  `refmodel_server_${name}{namespace="rl",pod="p"${labels && `,${labels}`}}`;
const requests = (code: number) => `refmodel_gateway_requests_total{model="rl/a",code="${code}"}`;
const gateways = (state: string) => `refmodel_operator_gateways{state="${state}"}`;
const replicas = (state: string) => `refmodel_operator_pool_replicas{pool="rl/p",state="${state}"}`;
const bucket = (name: string, le: string, labels = '') => `${name}_bucket{le="${le}"${labels}}`;
const coldStart = (le: string) =>
  bucket('refmodel_operator_cold_start_seconds', le, ',phase="download"');
const leading = 'refmodel_operator_leading{pod="a"}';

const cases: Record<string, Case> = {
  RefmodelGatewayGone: {
    fires: { 'refmodel_gateway_held_bytes{pod="g"}': '0x5 _x30' },
    rests: { 'refmodel_gateway_held_bytes{pod="g"}': '0x40' },
  },
  RefmodelNoLeader: {
    fires: { [leading]: '0x40', 'refmodel_operator_leading{pod="b"}': '0x40' },
    rests: { [leading]: '0x40', 'refmodel_operator_leading{pod="b"}': '1x40' },
  },
  RefmodelGatewayUnheard: {
    fires: { [gateways('known')]: '2x40', [gateways('answered')]: '1x40' },
    rests: { [gateways('known')]: '2x40', [gateways('answered')]: '2x5 1x3 2x32' },
  },
  RefmodelRequestsFail: {
    fires: { [requests(200)]: '0+90x40', [requests(503)]: '0+10x40' },
    rests: { [requests(200)]: '0+99x40', [requests(503)]: '0+1x40', [requests(404)]: '0+50x40' },
  },
  RefmodelRequestsHeld: {
    fires: { 'refmodel_gateway_held_requests{model="rl/a"}': '3x40' },
    rests: { 'refmodel_gateway_held_requests{model="rl/a"}': '3x10 0x1 3x28' },
    after: 24,
  },
  RefmodelWakeFails: {
    fires: { 'refmodel_gateway_wake_failures_total{pool="rl/p"}': '0+2x40' },
    rests: { 'refmodel_gateway_wake_failures_total{pool="rl/p"}': '0x5 2x35' },
  },
  RefmodelPoolNotReady: {
    fires: { [replicas('wanted')]: '1x40', [replicas('ready')]: '0x40' },
    rests: { [replicas('wanted')]: '1x40', [replicas('ready')]: '0x10 1x30' },
  },
  RefmodelModelDegraded: {
    fires: { [condition('Degraded')]: '1x40' },
    rests: { [condition('Degraded')]: '0x10 1x5 0x25', [condition('Loaded')]: '1x40' },
  },
  RefmodelModelNotAccepted: {
    fires: { [condition('Accepted')]: '0x40' },
    rests: { [condition('Accepted')]: '-1x5 1x35', [condition('Loaded')]: '0x40' },
  },
  RefmodelLoadsFail: {
    fires: { [server('load_seconds_count', 'code="LOAD_FAILED"')]: '0+1x40' },
    rests: {
      [server('load_seconds_count', 'code="OK"')]: '0+9x40',
      [server('load_seconds_count', 'code="LOAD_FAILED"')]: '0x5 1x35',
    },
  },
  RefmodelRunnersDie: {
    fires: { [server('runner_deaths_total', 'how="OutOfMemory"')]: '0+1x40' },
    rests: { [server('runner_deaths_total', 'how="Crashed"')]: '0x5 1x35' },
  },
  RefmodelPassesHalved: {
    fires: { [server('halved_passes_total')]: '0x5 1x35' },
    rests: { [server('halved_passes_total')]: '0x40' },
  },
  RefmodelCacheThrashes: {
    fires: {
      [server('evictions_total')]: '0+1x40',
      [server('cache_lookups_total', 'result="Miss"')]: '0+1x40',
      [server('cache_lookups_total', 'result="Hit"')]: '0+4x40',
    },
    rests: {
      [server('evictions_total')]: '0+1x40',
      [server('cache_lookups_total', 'result="Miss"')]: '0+1x40',
      [server('cache_lookups_total', 'result="Hit"')]: '0+90x40',
    },
  },
  RefmodelQueueSlow: {
    fires: {
      [bucket('refmodel_server_queue_seconds', '30')]: '0x40',
      [bucket('refmodel_server_queue_seconds', '60')]: '0+9x40',
      [bucket('refmodel_server_queue_seconds', '+Inf')]: '0+9x40',
    },
    rests: {
      [bucket('refmodel_server_queue_seconds', '30')]: '0+9x40',
      [bucket('refmodel_server_queue_seconds', '60')]: '0+9x40',
      [bucket('refmodel_server_queue_seconds', '+Inf')]: '0+9x40',
    },
  },
  RefmodelColdStartSlow: {
    fires: {
      [coldStart('600')]: '0x40',
      [coldStart('1200')]: '0+1x40',
      [coldStart('+Inf')]: '0+1x40',
    },
    rests: {
      [coldStart('600')]: '0+1x40',
      [coldStart('1200')]: '0+1x40',
      [coldStart('+Inf')]: '0+1x40',
    },
  },
  RefmodelReconcileFails: {
    fires: { 'refmodel_operator_reconcile_errors_total{queue="pool"}': '0+3x40' },
    rests: { 'refmodel_operator_reconcile_errors_total{queue="pool"}': '0+1x40' },
  },
  RefmodelPolicyFar: {
    fires: { 'refmodel_server_policy_divergence_warnings_total{model="rl/a"}': '0+1x40' },
    rests: { 'refmodel_server_policy_divergence_warnings_total{model="rl/a"}': '4x40' },
  },
};

/** What promtool says when it expects that the alert fires, or that it does not. */
async function evaluate(
  name: string,
  { series, isFiring, minute }: { series: Series; isFiring: boolean; minute: number },
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'refmodel-alerts-'));
  const expr = `count by (alertname) (ALERTS{alertname="${name}",alertstate="firing"})`;
  const sample = { labels: `{alertname="${name}"}`, value: 1 };
  const suite = {
    rule_files: [resolve(rulesFile)],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: Object.entries(series).map(([key, values]) => ({ series: key, values })),
        promql_expr_test: [
          { expr, eval_time: `${minute}m`, ...(isFiring && { exp_samples: [sample] }) },
        ],
      },
    ],
  };
  const file = join(folder, 'suite.yaml');
  try {
    await writeFile(file, JSON.stringify(suite));
    await run('promtool', ['test', 'rules', file]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('the alerts', { skip: !hasPromtool && 'no promtool' }, () => {
  it('are rules that Prometheus reads', async () => {
    const { stdout } = await run('promtool', ['check', 'rules', rulesFile]);

    assert.match(stdout, new RegExp(`SUCCESS: ${alerts.length} rules found`));
  });

  it('each have a case here', () => {
    assert.deepEqual(alerts.map(({ alert }) => alert).sort(), Object.keys(cases).sort());
  });

  for (const [name, { fires, rests, after = 20 }] of Object.entries(cases)) {
    it(`${name} fires when it should`, () =>
      evaluate(name, { series: fires, isFiring: true, minute: after }));

    it(`${name} does not fire when it should not`, () =>
      evaluate(name, { series: rests, isFiring: false, minute: after }));
  }
});
