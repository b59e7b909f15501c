import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { listen } from '../../../../common/http.ts';
import { Call } from '../../../../operator/gateway/call.ts';
import { traceCall } from '../../../../operator/gateway/trace.ts';
import { Recorder } from '../../../support/tracing.ts';

describe('traceCall', () => {
  it('is a span with model, route, status and the id of the request, its work being a part of it', async () => {
    const tracing = new Recorder();
    const server = await listen(
      (req, res) => {
        const call = new Call(req, res, () => false);
        traceCall(call, tracing, () => {
          tracing.start('hold').end();
          call.model = 'rl/a';
          call.send({ ok: true }, 503);
        });
      },
      0,
      '127.0.0.1',
    );

    const headers = { 'x-request-id': 'r1' };
    const answer = await fetch(`http://127.0.0.1:${server.port}/v1/logprobs?x=1`, { headers });
    await answer.text();
    await server.close();
    const [request] = tracing.named('GET /v1/logprobs');
    const [hold] = tracing.named('hold');

    assert.ok(request?.hasEnded);
    assert.equal(hold?.parent, request);
    assert.equal(request.attributes['refmodel.model'], 'rl/a');
    assert.equal(request.attributes['refmodel.request_id'], 'r1');
    assert.equal(request.attributes['http.response.status_code'], 503);
    assert.ok(request.error instanceof Error);
  });
});
