import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ModelState } from '../../../server/contract.ts';
import { createMetrics, type MetricSources } from '../../../server/metrics.ts';

type Model = ReturnType<MetricSources['models']>[number];

const downloading = (name: string, bytes: { bytes: number; totalBytes: number }): Model => ({
  name,
  residency: 'Downloading',
  progress: { phase: 'Downloading', ...bytes },
});

const loaded = (name: string, fidelity?: ModelState['fidelity']): Model => ({
  name,
  residency: 'Loaded',
  value: { session: { ...(fidelity && { fidelity }) } },
});

const sources: MetricSources = {
  residents: () => ({ models: 2, bytes: { host: 50, device: 7 } }),
  limits: { host: 100, device: 9 },
  models: () => [
    downloading('rl/a', { bytes: 3, totalBytes: 8 }),
    downloading('rl/b', { bytes: 1, totalBytes: 2 }),
    loaded('rl/c', { kl: 0.01, meanAbsDelta: 0.1, maxAbsDelta: 0.5, tokens: 9 }),
    loaded('rl/reward', { meanAbsDelta: 0.2, maxAbsDelta: 0.3, tokens: 9 }),
    loaded('rl/plain'),
  ],
};

describe('the metrics of the server', () => {
  it('count what happened, by route and code', async () => {
    const metrics = createMetrics(sources);

    metrics.onRequest('/v1/logprobs', 200, 0.1);
    metrics.onPass({
      rows: 3,
      tokens: 10,
      packedTokens: 8,
      slots: 9,
      paddedSlots: 1,
      waitedMs: 4,
    });
    metrics.onHalved();
    metrics.onScored(10, 7);
    metrics.cache.onLoad(2);
    metrics.cache.onLoad(1, 'LOAD_FAILED');
    metrics.cache.onPhase('Converting', 3);
    metrics.cache.onEvict();
    metrics.cache.onDeath('OutOfMemory');
    const lines = (await metrics.registry.metrics()).split('\n');

    for (const line of [
      'refmodel_server_requests_total{route="/v1/logprobs",code="200"} 1',
      'refmodel_server_prompt_tokens_total 10',
      'refmodel_server_scored_tokens_total 7',
      'refmodel_server_packed_tokens_total 8',
      'refmodel_server_shared_tokens_total 2',
      'refmodel_server_attention_slots_total 9',
      'refmodel_server_attention_padding_total 1',
      'refmodel_server_batch_rows_sum 3',
      'refmodel_server_queue_seconds_sum 0.004',
      'refmodel_server_load_seconds_sum{code="OK"} 2',
      'refmodel_server_load_seconds_count{code="LOAD_FAILED"} 1',
      'refmodel_server_evictions_total 1',
      'refmodel_server_resident_models 2',
      'refmodel_server_resident_bytes 50',
      'refmodel_server_resident_device_bytes 7',
      'refmodel_server_device_limit_bytes 9',
      'refmodel_server_halved_passes_total 1',
      'refmodel_server_loading_models{phase="Downloading"} 2',
      'refmodel_server_loading_models{phase="Converting"} 0',
      'refmodel_server_loading_done_bytes{phase="Downloading"} 4',
      'refmodel_server_loading_bytes{phase="Downloading"} 10',
      'refmodel_server_load_phase_seconds_sum{phase="Converting"} 3',
      'refmodel_server_runner_deaths_total{how="OutOfMemory"} 1',
    ]) {
      assert.ok(lines.includes(line), line);
    }
  });

  it('tell how far converted models are from their checkpoints, while these are loaded', async () => {
    let models = sources.models();
    const { registry } = createMetrics({ ...sources, models: () => models });
    const figures = async () =>
      (await registry.metrics())
        .split('\n')
        .filter((line) => line.startsWith('refmodel_server_fidelity_'));

    assert.deepEqual(await figures(), [
      'refmodel_server_fidelity_kl{model="rl/c"} 0.01',
      'refmodel_server_fidelity_mean_abs_delta{model="rl/c"} 0.1',
      'refmodel_server_fidelity_mean_abs_delta{model="rl/reward"} 0.2',
      'refmodel_server_fidelity_max_abs_delta{model="rl/c"} 0.5',
      'refmodel_server_fidelity_max_abs_delta{model="rl/reward"} 0.3',
    ]);
    models = [];
    assert.deepEqual(await figures(), []);
  });

  it('follow the naming conventions: one prefix, base units, totals', async () => {
    const all = await createMetrics(sources).registry.getMetricsAsJSON();

    for (const { name, type, help } of all) {
      assert.match(name, /^refmodel_server_[a-z_]+$/);
      assert.ok(help);
      assert.equal(String(type) === 'counter', name.endsWith('_total'), name);
    }
  });
});
