// What is measured of passes over models.
import { type Metrics, powersOfTwo } from '../../common/metrics.ts';
import type { Pass } from '../model/batch/pass.ts';

export function batchMetrics(metrics: Metrics) {
  const rows = metrics.histogram('batch_rows', 'Rows of a pass.', { buckets: powersOfTwo(11) });
  const tokens = metrics.histogram('batch_tokens', 'Tokens of a pass, as asked.', {
    buckets: powersOfTwo(9).map((n) => n * 64),
  });
  const queue = metrics.histogram(
    'queue_seconds',
    'Time that the oldest row of a pass waited for it.',
  );
  const seconds = metrics.histogram('pass_seconds', 'Time of a pass over a model.');
  const packed = metrics.counter('packed_tokens_total', 'Tokens that passes computed.');
  const shared = metrics.counter(
    'shared_tokens_total',
    'Tokens of passes that were not computed: other rows begin with them too.',
  );
  const slots = metrics.counter('attention_slots_total', 'Queries of attention, padding included.');
  const padding = metrics.counter(
    'attention_padding_total',
    'Queries of attention that were padding.',
  );
  const halved = metrics.counter(
    'halved_passes_total',
    'Passes that did not fit on the GPU as a whole.',
  );
  return {
    /** A pass starts. */
    onPass: (pass: Pass): void => {
      rows.observe(pass.rows);
      tokens.observe(pass.tokens);
      packed.inc(pass.packedTokens);
      shared.inc(pass.tokens - pass.packedTokens);
      slots.inc(pass.slots);
      padding.inc(pass.paddedSlots);
      queue.observe(pass.waitedMs / 1000);
    },
    /** A pass is over, whatever became of it. */
    onPassed: (passSeconds: number): void => seconds.observe(passSeconds),
    /** A pass did not fit on the GPU. */
    onHalved: (): void => halved.inc(),
  };
}
