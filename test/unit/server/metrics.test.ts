import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMetrics, type MetricSources } from '../../../server/metrics.ts';
import { scrape } from '../../support/metrics.ts';

const sources: MetricSources = {
  residents: () => ({ models: 2, bytes: { host: 50, device: 7 } }),
  limits: { host: 100, device: 9 },
  models: () => [],
  disk: { bytes: async () => 30, limitBytes: 40 },
};

describe('the metrics of the server', () => {
  it('are one registry, of requests, passes, loads and models', async () => {
    const metrics = createMetrics(sources);

    metrics.onScored(10, 7);
    metrics.onHalved();
    metrics.cache.onEvict();
    metrics.onDivergence('rl/a', { k1: 1, k3: 2 }, false);
    const seen = await scrape(metrics.registry, 'refmodel_server_');

    assert.equal(seen['refmodel_server_scored_tokens_total'], 7);
    assert.equal(seen['refmodel_server_halved_passes_total'], 1);
    assert.equal(seen['refmodel_server_evictions_total'], 1);
    assert.equal(seen['refmodel_server_policy_divergence_count{model="rl/a"}'], 1);
    assert.equal(seen['refmodel_server_resident_models'], 2);
    assert.equal(seen['refmodel_server_disk_bytes'], 30);
  });

  it('belong to one process: two sets do not meet', () => {
    assert.notEqual(createMetrics(sources).registry, createMetrics(sources).registry);
  });
});
