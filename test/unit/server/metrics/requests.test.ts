import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metrics } from '../../../../common/metrics.ts';
import { requestMetrics } from '../../../../server/metrics/requests.ts';
import { scrape } from '../../../support/metrics.ts';

describe('requestMetrics', () => {
  it('counts requests by route and code, errors by code, and tokens', async () => {
    const metrics = new Metrics('x_');
    const { onRequest, onError, onScored } = requestMetrics(metrics);

    onRequest('/v1/logprobs', 503, 0.1);
    onError('QUEUE_FULL');
    onScored(10, 7);
    const seen = await scrape(metrics.registry, 'x_');

    assert.equal(seen['x_requests_total{route="/v1/logprobs",code="503"}'], 1);
    assert.equal(seen['x_request_duration_seconds_sum{route="/v1/logprobs"}'], 0.1);
    assert.equal(seen['x_errors_total{error="QUEUE_FULL"}'], 1);
    assert.equal(seen['x_prompt_tokens_total'], 10);
    assert.equal(seen['x_scored_tokens_total'], 7);
  });
});
