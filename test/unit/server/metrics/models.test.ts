import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metrics } from '../../../../common/metrics.ts';
import { type MetricSources, modelMetrics } from '../../../../server/metrics/models.ts';
import { scrape } from '../../../support/metrics.ts';

type Model = ReturnType<MetricSources['models']>[number];

const downloading = (name: string, bytes: number, totalBytes: number): Model => ({
  name,
  residency: 'Downloading',
  inFlight: 1,
  progress: { phase: 'Downloading', bytes, totalBytes },
});

const loaded: Model = {
  name: 'rl/c',
  residency: 'Loaded',
  inFlight: 2,
  value: {
    session: {},
    memory: { host: 40, device: 5 },
    rewards: { queuedRows: 3, queuedTokens: 30 },
  },
};

describe('modelMetrics', () => {
  it('reads what models hold, who waits for them, and how far loads are', async () => {
    const metrics = new Metrics('x_');
    let models = [downloading('rl/a', 3, 8), downloading('rl/b', 1, 2), loaded];
    modelMetrics(metrics, {
      residents: () => ({ models: 2, bytes: { host: 50, device: 7 } }),
      limits: { host: 100, device: 9 },
      models: () => models,
    });

    const seen = await scrape(metrics.registry, 'x_');
    models = [];
    const later = await scrape(metrics.registry, 'x_');

    assert.deepEqual(seen, {
      x_resident_models: 2,
      'x_resident_bytes{memory="host"}': 50,
      'x_resident_bytes{memory="device"}': 7,
      'x_limit_bytes{memory="host"}': 100,
      'x_limit_bytes{memory="device"}': 9,
      'x_model_bytes{model="rl/c",memory="host"}': 40,
      'x_model_bytes{model="rl/c",memory="device"}': 5,
      'x_in_flight_requests{model="rl/a"}': 1,
      'x_in_flight_requests{model="rl/b"}': 1,
      'x_in_flight_requests{model="rl/c"}': 2,
      'x_queued_rows{model="rl/c"}': 3,
      'x_queued_tokens{model="rl/c"}': 30,
      'x_loading_models{phase="Downloading"}': 2,
      'x_loading_models{phase="Converting"}': 0,
      'x_loading_models{phase="Loading"}': 0,
      'x_loading_done_bytes{phase="Downloading"}': 4,
      'x_loading_done_bytes{phase="Converting"}': 0,
      'x_loading_done_bytes{phase="Loading"}': 0,
      'x_loading_bytes{phase="Downloading"}': 10,
      'x_loading_bytes{phase="Converting"}': 0,
      'x_loading_bytes{phase="Loading"}': 0,
    });
    assert.equal(later['x_model_bytes{model="rl/c",memory="host"}'], undefined);
  });
});
