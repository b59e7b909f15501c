import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metrics } from '../../../../common/metrics.ts';
import { type Figures, fidelityMetrics } from '../../../../server/metrics/fidelity.ts';
import { scrape } from '../../../support/metrics.ts';

const loaded = (name: string, fidelity?: Figures) => ({
  name,
  residency: 'Loaded' as const,
  inFlight: 0,
  value: { memory: { host: 1, device: 0 }, session: { ...(fidelity && { fidelity }) } },
});

describe('fidelityMetrics', () => {
  it('tells how far converted models are from their checkpoints, while these are loaded', async () => {
    const metrics = new Metrics('x_');
    let models = [
      loaded('rl/c', { kl: 0.01, meanAbsDelta: 0.1, maxAbsDelta: 0.5, tokens: 9 }),
      loaded('rl/reward', { meanAbsDelta: 0.2, maxAbsDelta: 0.3, tokens: 9 }),
      loaded('rl/plain'),
    ];
    fidelityMetrics(metrics, () => models);

    assert.deepEqual(await scrape(metrics.registry, 'x_fidelity_'), {
      'x_fidelity_kl{model="rl/c"}': 0.01,
      'x_fidelity_mean_abs_delta{model="rl/c"}': 0.1,
      'x_fidelity_mean_abs_delta{model="rl/reward"}': 0.2,
      'x_fidelity_max_abs_delta{model="rl/c"}': 0.5,
      'x_fidelity_max_abs_delta{model="rl/reward"}': 0.3,
    });
    models = [];
    assert.deepEqual(await scrape(metrics.registry, 'x_fidelity_'), {});
  });

  it('tells how far policies are from a model, and counts those that are far', async () => {
    const metrics = new Metrics('x_');
    const { onDivergence } = fidelityMetrics(metrics, () => []);

    onDivergence('rl/a', { k1: 0.1, k3: 0.2 }, true);
    onDivergence('rl/a', { k1: 0.01, k3: 0.02 }, false);
    const seen = await scrape(metrics.registry, 'x_policy_');

    assert.equal(seen['x_policy_divergence_count{model="rl/a"}'], 2);
    assert.equal(seen['x_policy_divergence_last{model="rl/a",estimator="k3"}'], 0.02);
    assert.equal(seen['x_policy_divergence_warnings_total{model="rl/a"}'], 1);
  });
});
