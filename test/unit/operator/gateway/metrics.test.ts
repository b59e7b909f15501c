import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMetrics, type GaugeSources } from '../../../../operator/gateway/metrics.ts';

const idle: GaugeSources = {
  held: () => [],
  heldBytes: () => 0,
  inFlight: () => [],
  endpoints: () => [],
};

describe('metrics', () => {
  it('reads gauges from their owners at each scrape, and forgets models that are gone', async () => {
    let held = [{ model: 'rl/a', held: 2 }];
    const metrics = createMetrics({ ...idle, held: () => held });
    const first = await metrics.registry.getSingleMetricAsString('refmodel_gateway_held_requests');

    held = [];
    const second = await metrics.registry.getSingleMetricAsString('refmodel_gateway_held_requests');

    assert.match(first, /\{model="rl\/a"\} 2/);
    assert.doesNotMatch(second, /rl\/a/);
  });

  it('measures holds up to half an hour', async () => {
    const metrics = createMetrics(idle);
    metrics.holdSeconds.observe({ model: 'rl/a' }, 1500);

    const text = await metrics.registry.getSingleMetricAsString('refmodel_gateway_hold_seconds');

    assert.match(text, /le="1200",model="rl\/a"\} 0/);
    assert.match(text, /le="1800",model="rl\/a"\} 1/);
  });

  it('belongs to one process: two sets do not meet', () => {
    assert.notEqual(createMetrics(idle).registry, createMetrics(idle).registry);
  });
});
