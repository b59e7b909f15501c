// How far models are from their checkpoints, and policies from models. Labels are names of the catalog.
import type { Metrics } from '../../common/metrics.ts';
import type { Figures, MetricSources } from './models.ts';

export type { Figures } from './models.ts';

export function fidelityMetrics(metrics: Metrics, models: MetricSources['models']) {
  const figure = (name: string, help: string, read: (figures: Figures) => number | undefined) =>
    metrics.reading(`fidelity_${name}`, help, ['model'], () =>
      models().flatMap(({ name: model, value }) => {
        const found = value?.session.fidelity && read(value.session.fidelity);
        return found === undefined ? [] : [[{ model }, found]];
      }),
    );
  const which = 'of a converted model from its checkpoint';
  figure('kl', `Mean KL divergence ${which}, in nats per token.`, ({ kl }) => kl);
  const of = 'difference of log-probs, or of scores,';
  figure('mean_abs_delta', `Mean ${of} ${which}.`, ({ meanAbsDelta }) => meanAbsDelta);
  figure('max_abs_delta', `Largest ${of} ${which}.`, ({ maxAbsDelta }) => maxAbsDelta);

  const batches = metrics.histogram(
    'policy_divergence',
    'Divergence of policies from their reference by the k3 estimator, in nats per token, by batch.',
    { labelNames: ['model'], buckets: [1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1, 3, 10] },
  );
  const last = metrics.gauge(
    'policy_divergence_last',
    'Divergence of the policy of the last batch from its reference, in nats per token.',
    ['model', 'estimator'],
  );
  const far = metrics.counter(
    'policy_divergence_warnings_total',
    'Batches whose policy was further from its reference than REFMODEL_WARN_DIVERGENCE.',
    ['model'],
  );
  return {
    onDivergence: (model: string, { k1, k3 }: { k1: number; k3: number }, isFar: boolean): void => {
      batches.observe({ model }, k3);
      last.set({ model, estimator: 'k1' }, k1);
      last.set({ model, estimator: 'k3' }, k3);
      if (isFar) far.inc({ model });
    },
  };
}
