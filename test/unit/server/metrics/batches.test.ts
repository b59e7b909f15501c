import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metrics } from '../../../../common/metrics.ts';
import { batchMetrics } from '../../../../server/metrics/batches.ts';
import { scrape } from '../../../support/metrics.ts';

describe('batchMetrics', () => {
  it('counts what passes compute, share and pad, and how long they wait and take', async () => {
    const metrics = new Metrics('x_');
    const { onPass, onPassed, onHalved } = batchMetrics(metrics);

    const sizes = { rows: 3, tokens: 10, packedTokens: 8, slots: 9, paddedSlots: 1 };
    onPass({ ...sizes, waitedMs: 4 });
    onPassed(0.2);
    onHalved();
    const seen = await scrape(metrics.registry, 'x_');

    assert.equal(seen['x_packed_tokens_total'], 8);
    assert.equal(seen['x_shared_tokens_total'], 2);
    assert.equal(seen['x_attention_slots_total'], 9);
    assert.equal(seen['x_attention_padding_total'], 1);
    assert.equal(seen['x_batch_rows_sum'], 3);
    assert.equal(seen['x_batch_tokens_sum'], 10);
    assert.equal(seen['x_queue_seconds_sum'], 0.004);
    assert.equal(seen['x_pass_seconds_sum'], 0.2);
    assert.equal(seen['x_halved_passes_total'], 1);
  });
});
