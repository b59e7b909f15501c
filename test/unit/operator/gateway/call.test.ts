import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClientGoneError } from '../../../../common/abort.ts';
import { AppError } from '../../../../common/errors.ts';
import { listen } from '../../../../common/http.ts';
import { silentLogger } from '../../../../common/log.ts';
import { Call } from '../../../../operator/gateway/call.ts';

/** The answer that a client gets of what `handle` does with its call. */
async function ask(
  handle: (call: Call) => void,
  options: { path?: string; isDraining?: boolean; headers?: Record<string, string> } = {},
): Promise<Response> {
  const { path = '/', isDraining = false, headers = {} } = options;
  const serve = await listen(
    (req, res) => handle(new Call(req, res, () => isDraining)),
    0,
    '127.0.0.1',
  );
  try {
    const answer = await fetch(`http://127.0.0.1:${serve.port}${path}`, { headers });
    const body = await answer.arrayBuffer();
    return new Response(body, answer);
  } finally {
    serve.server.closeAllConnections();
    await serve.close();
  }
}

describe('Call', () => {
  it('answers objects as JSON and texts as they are', async () => {
    const json = await ask((call) => call.send({ a: 'ä' }));
    const text = await ask((call) => call.send('ok\n'));

    assert.equal(json.headers.get('content-type'), 'application/json; charset=utf-8');
    assert.deepEqual(await json.json(), { a: 'ä' });
    assert.equal(text.headers.get('content-type'), 'text/plain; charset=utf-8');
    assert.equal(await text.text(), 'ok\n');
  });

  it('keeps the name that the client gave the request, and gives one where it gave none', async () => {
    const given = await ask((call) => call.send(''), { headers: { 'x-request-id': 'mine-1' } });
    const bad = await ask((call) => call.send(''), { headers: { 'x-request-id': 'a b' } });

    assert.equal(given.headers.get('x-request-id'), 'mine-1');
    assert.match(bad.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
  });

  it('ends the connection of a client while the gateway drains', async () => {
    const staying = await ask((call) => call.send(''));
    const draining = await ask((call) => call.send(''), { isDraining: true });

    assert.notEqual(staying.headers.get('connection'), 'close');
    assert.equal(draining.headers.get('connection'), 'close');
  });

  it('answers an error with its status, its code and when to try again', async () => {
    const error = new AppError('QUEUE_FULL', 'holding: full', { retryAfterSeconds: 2 });

    const answer = await ask((call) => call.fail(error, silentLogger));

    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('retry-after'), '2');
    const { error: body } = (await answer.json()) as { error: Record<string, string> };
    assert.equal(body['code'], 'QUEUE_FULL');
    assert.equal(body['request_id'], answer.headers.get('x-request-id'));
  });

  it('writes errors as the clients of the path read them, whatever its query says', async () => {
    const fail = (call: Call) => call.fail(new AppError('NOT_READY', 'x'), silentLogger);

    const inference = await ask(fail, { path: '/v2/models/a/infer?x=1' });
    const other = await ask(fail, { path: '/v1/logprobs?next=/v2/' });

    assert.equal(typeof ((await inference.json()) as { error: unknown }).error, 'string');
    assert.equal(typeof ((await other.json()) as { error: unknown }).error, 'object');
  });

  it('cuts an answer that has begun', async () => {
    await assert.rejects(
      ask((call) => {
        call.res.writeHead(200, { 'content-length': 10 });
        call.res.write('half', () => call.fail(new Error('broke'), silentLogger));
      }),
    );
  });

  it('says nothing to a client that has left', async () => {
    const answer = await ask((call) => {
      call.fail(new ClientGoneError('left'), silentLogger);
      call.send('unsent until now');
    });

    assert.equal(await answer.text(), 'unsent until now');
  });
});
