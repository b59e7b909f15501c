import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metrics } from '../../../../common/metrics.ts';
import { loadMetrics } from '../../../../server/metrics/loads.ts';
import { scrape } from '../../../support/metrics.ts';

describe('loadMetrics', () => {
  it('counts lookups, loads and their phases, conversions, evictions and deaths', async () => {
    const metrics = new Metrics('x_');
    const { cache, onConverted } = loadMetrics(metrics);

    cache.onLookup('Hit');
    cache.onLoad(2);
    cache.onLoad(1, 'LOAD_FAILED');
    cache.onPhase('Converting', { seconds: 1500, bytes: 9 });
    cache.onEvict();
    cache.onDiskEvicted(100);
    cache.onDiskEvicted(20);
    cache.onDeath('OutOfMemory');
    onConverted('Int8');
    const seen = await scrape(metrics.registry, 'x_');

    assert.equal(seen['x_cache_lookups_total{result="Hit"}'], 1);
    assert.equal(seen['x_load_seconds_sum{code="OK"}'], 2);
    assert.equal(seen['x_load_seconds_count{code="LOAD_FAILED"}'], 1);
    assert.equal(seen['x_load_phase_seconds_bucket{le="1200",phase="Converting"}'], 0);
    assert.equal(seen['x_load_phase_seconds_bucket{le="1800",phase="Converting"}'], 1);
    assert.equal(seen['x_load_bytes_total{phase="Converting"}'], 9);
    assert.equal(seen['x_conversions_total{quantization="Int8"}'], 1);
    assert.equal(seen['x_evictions_total'], 1);
    assert.equal(seen['x_disk_evictions_total'], 2);
    assert.equal(seen['x_disk_evicted_bytes_total'], 120);
    assert.equal(seen['x_runner_deaths_total{how="OutOfMemory"}'], 1);
  });
});
