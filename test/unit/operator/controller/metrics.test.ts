import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ControllerMetrics } from '../../../../operator/controller/metrics.ts';

const valueOf = async (metrics: ControllerMetrics, line: string) => {
  const text = await metrics.registry.metrics();
  return text
    .split('\n')
    .find((candidate) => candidate.startsWith(`${line} `))
    ?.split(' ')
    .at(-1);
};

describe('ControllerMetrics', () => {
  it('counts calls, runs, writes and scalings by kind', async () => {
    const metrics = new ControllerMetrics();

    metrics.apiCall({ method: 'GET', status: 200, seconds: 0.01 });
    metrics.reconciled('pool', 0.1);
    metrics.reconcileFailed('model');
    metrics.wrote('Service', 'apply');
    metrics.scaled('Idle');
    metrics.gateways(3, 2);
    metrics.leading({ models: () => [], pools: () => [] });

    const count = (line: string) => valueOf(metrics, `refmodel_operator_${line}`);
    assert.equal(await count('api_call_seconds_count{method="GET",code="200"}'), '1');
    assert.equal(await count('reconcile_seconds_count{queue="pool"}'), '1');
    assert.equal(await count('reconcile_errors_total{queue="model"}'), '1');
    assert.equal(await count('writes_total{kind="Service",verb="apply"}'), '1');
    assert.equal(await count('scalings_total{reason="Idle"}'), '1');
    assert.equal(await count('gateways{state="answered"}'), '2');
    assert.equal(await count('leading'), '1');
  });

  it('tells how models and pools are, while it leads', async () => {
    const metrics = new ControllerMetrics();
    const condition = { lastTransitionTime: '2026-01-01T00:00:00Z', reason: 'R', message: '' };
    const conditions = [
      { ...condition, type: 'Accepted', status: 'True' as const },
      { ...condition, type: 'Degraded', status: 'False' as const },
      { ...condition, type: 'Loaded', status: 'Unknown' as const },
    ];
    const count = (line: string) => valueOf(metrics, `refmodel_operator_${line}`);

    metrics.leading({
      models: () => [{ model: 'rl/a', status: { conditions } }, { model: 'rl/new' }],
      pools: () => [{ pool: 'rl/p', wanted: 2, ready: 1 }],
    });

    assert.equal(await count('model_condition{model="rl/a",condition="Accepted"}'), '1');
    assert.equal(await count('model_condition{model="rl/a",condition="Degraded"}'), '0');
    assert.equal(await count('model_condition{model="rl/a",condition="Loaded"}'), '-1');
    assert.equal(await count('pool_replicas{pool="rl/p",state="wanted"}'), '2');
    assert.equal(await count('pool_replicas{pool="rl/p",state="ready"}'), '1');
    metrics.leading(undefined);
    assert.equal(await count('model_condition{model="rl/a",condition="Accepted"}'), undefined);
    assert.equal(await count('leading'), '0');
  });

  it('measures the phases of a cold start, up to half an hour', async () => {
    const metrics = new ControllerMetrics();

    metrics.coldStart({ schedule: '1', download: '1500', total: '1501' });

    const count = (line: string) =>
      valueOf(metrics, `refmodel_operator_cold_start_seconds_${line}`);
    assert.equal(await count('sum{phase="download"}'), '1500');
    assert.equal(await count('bucket{le="1200",phase="download"}'), '0');
    assert.equal(await count('bucket{le="1800",phase="download"}'), '1');
    assert.equal(await count('count{phase="convert"}'), '0');
  });

  it('reads the depth of a queue when it is asked', async () => {
    const metrics = new ControllerMetrics();
    let depth = 1;
    metrics.queueDepth('pool', () => depth);

    depth = 5;

    assert.equal(await valueOf(metrics, 'refmodel_operator_queue_depth{queue="pool"}'), '5');
  });
});
