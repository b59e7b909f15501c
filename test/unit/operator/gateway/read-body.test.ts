import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { ClientGoneError } from '../../../../common/abort.ts';
import { AppError } from '../../../../common/errors.ts';
import { listen } from '../../../../common/http.ts';
import { readBody } from '../../../../operator/gateway/read-body.ts';
import { deferred } from '../../../support/gateway-kit.ts';

const limit = 100;

interface Sent {
  headers?: Record<string, string>;
  chunks?: (string | Buffer)[];
}

type Outcome = { body: Buffer | undefined } | { error: unknown };

/** What is read of a request that is sent chunk by chunk. */
async function read({ headers = {}, chunks = [] }: Sent): Promise<Outcome> {
  const outcome = deferred<Outcome>();
  const server = await listen(
    (req, res) => {
      readBody(req, limit).then(
        (body) => outcome.resolve({ body }),
        (error: unknown) => outcome.resolve({ error }),
      );
      void outcome.promise.then(() => res.end());
    },
    0,
    '127.0.0.1',
  );
  const { port } = server;
  const sent = request({ host: '127.0.0.1', port, method: 'POST', agent: false, headers });
  for (const chunk of chunks) sent.write(chunk);
  sent.end();
  const [response] = await once(sent, 'response');
  response.resume();
  await server.close();
  return outcome.promise;
}

const codeOf = (outcome: Outcome) =>
  'error' in outcome && outcome.error instanceof AppError ? outcome.error.code : undefined;

describe('readBody', () => {
  it('reads a body of a known length and one in chunks', async () => {
    const whole = await read({ headers: { 'content-length': '3' }, chunks: ['abc'] });
    const chunked = await read({ chunks: ['ab', 'cd', 'e'] });

    assert.deepEqual(whole, { body: Buffer.from('abc') });
    assert.deepEqual(chunked, { body: Buffer.from('abcde') });
  });

  it('tells no body from an empty one', async () => {
    const empty = await read({ headers: { 'content-length': '0' } });

    assert.deepEqual(empty, { body: Buffer.alloc(0) });
  });

  it('takes a body of just the limit, and none over it', async () => {
    const just = await read({ chunks: [Buffer.alloc(limit)] });
    const over = await read({ chunks: [Buffer.alloc(limit), 'x'] });
    const far = await read({ headers: { 'content-length': '1000' }, chunks: [Buffer.alloc(1000)] });

    assert.deepEqual(just, { body: Buffer.alloc(limit) });
    assert.equal(codeOf(over), 'BODY_TOO_LARGE');
    assert.equal(codeOf(far), 'BODY_TOO_LARGE');
  });

  it('leaves a body in the coding that it came in, and refuses one that no pod reads', async () => {
    const packed = await read({ headers: { 'content-encoding': 'gzip' }, chunks: ['x'] });
    const plain = await read({ headers: { 'content-encoding': 'Identity' }, chunks: ['x'] });
    const strange = await read({ headers: { 'content-encoding': 'rot13' }, chunks: ['x'] });

    assert.deepEqual(packed, { body: Buffer.from('x') });
    assert.deepEqual(plain, { body: Buffer.from('x') });
    assert.equal(codeOf(strange), 'UNSUPPORTED_MEDIA_TYPE');
  });

  it('ends when the client leaves in the middle', async () => {
    const outcome = deferred<unknown>();
    const server = await listen(
      (req) => void readBody(req, limit).catch(outcome.resolve),
      0,
      '127.0.0.1',
    );
    const socket = connect(server.port, '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\nhalf');
    server.server.once('request', () => setImmediate(() => socket.destroy()));

    assert.ok((await outcome.promise) instanceof ClientGoneError, 'the client is gone');
    await server.close();
  });
});
