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
    metrics.leading(true);

    const count = (line: string) => valueOf(metrics, `refmodel_operator_${line}`);
    assert.equal(await count('api_call_seconds_count{method="GET",code="200"}'), '1');
    assert.equal(await count('reconcile_seconds_count{queue="pool"}'), '1');
    assert.equal(await count('reconcile_errors_total{queue="model"}'), '1');
    assert.equal(await count('writes_total{kind="Service",verb="apply"}'), '1');
    assert.equal(await count('scalings_total{reason="Idle"}'), '1');
    assert.equal(await count('gateways{state="answered"}'), '2');
    assert.equal(await count('leading'), '1');
  });

  it('reads the depth of a queue when it is asked', async () => {
    const metrics = new ControllerMetrics();
    let depth = 1;
    metrics.queueDepth('pool', () => depth);

    depth = 5;

    assert.equal(await valueOf(metrics, 'refmodel_operator_queue_depth{queue="pool"}'), '5');
  });
});
