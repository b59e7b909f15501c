import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMetrics } from '../../../server/metrics.ts';

describe('the metrics of the server', () => {
  it('count what happened, by route and code', async () => {
    const metrics = createMetrics(() => ({ models: 2, bytes: 50 }));

    metrics.onRequest('/v1/logprobs', 200, 0.1);
    metrics.onPass({ rows: 3, tokens: 10, paddedTokens: 12, waitedMs: 4 });
    metrics.onScored(10, 7);
    metrics.cache.onLoad(2);
    metrics.cache.onLoad(1, 'LOAD_FAILED');
    metrics.cache.onEvict();
    const lines = (await metrics.registry.metrics()).split('\n');

    for (const line of [
      'refmodel_server_requests_total{route="/v1/logprobs",code="200"} 1',
      'refmodel_server_prompt_tokens_total 10',
      'refmodel_server_scored_tokens_total 7',
      'refmodel_server_padded_tokens_total 12',
      'refmodel_server_batch_rows_sum 3',
      'refmodel_server_queue_seconds_sum 0.004',
      'refmodel_server_load_seconds_sum{code="OK"} 2',
      'refmodel_server_load_seconds_count{code="LOAD_FAILED"} 1',
      'refmodel_server_evictions_total 1',
      'refmodel_server_resident_models 2',
      'refmodel_server_resident_bytes 50',
    ]) {
      assert.ok(lines.includes(line), line);
    }
  });

  it('follow the naming conventions: one prefix, base units, totals', async () => {
    const all = await createMetrics(() => ({ models: 0, bytes: 0 })).registry.getMetricsAsJSON();

    for (const { name, type, help } of all) {
      assert.match(name, /^refmodel_server_[a-z_]+$/);
      assert.ok(help);
      assert.equal(String(type) === 'counter', name.endsWith('_total'), name);
    }
  });
});
