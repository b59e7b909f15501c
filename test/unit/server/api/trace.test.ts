import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../../common/errors.ts';
import { createApp, finish, listen } from '../../../../common/http.ts';
import { silentLogger } from '../../../../common/log.ts';
import { tracedFor, traceRequest } from '../../../../server/api/trace.ts';
import { Recorder } from '../../../support/tracing.ts';

async function serve(tracing: Recorder) {
  const app = createApp();
  app.use(traceRequest(tracing));
  app.get('/good/:name', async (_req, res) => {
    res.json(await tracedFor(res, 'work', async () => 1, { n: 2 }));
  });
  app.get('/bad', () => {
    throw new AppError('QUEUE_FULL', 'full');
  });
  finish(app, silentLogger);
  return listen(app, 0, '127.0.0.1');
}

describe('traceRequest', () => {
  it('is a span by route, with what is done for the request as its parts', async () => {
    const tracing = new Recorder();
    const server = await serve(tracing);

    await (
      await fetch(`http://127.0.0.1:${server.port}/good/x`, { headers: { 'x-request-id': 'r1' } })
    ).text();
    await server.close();

    const [request] = tracing.named('GET /good/:name');
    const [work] = tracing.named('work');
    assert.equal(request?.attributes['http.route'], '/good/:name');
    assert.equal(request.attributes['http.response.status_code'], 200);
    assert.equal(request.attributes['refmodel.request_id'], 'r1');
    assert.equal(work?.parent, request);
    assert.equal(work?.attributes['n'], 2);
    assert.ok(request.hasEnded && request.error === undefined);
  });

  it('fails when the answer is our fault', async () => {
    const tracing = new Recorder();
    const server = await serve(tracing);

    await (await fetch(`http://127.0.0.1:${server.port}/bad`)).text();
    await server.close();

    const [request] = tracing.named('GET /bad');
    assert.equal(request?.attributes['http.response.status_code'], 503);
    assert.ok(request.error instanceof Error);
  });
});
