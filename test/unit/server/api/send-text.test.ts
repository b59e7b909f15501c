import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import express, { type RequestHandler } from 'express';
import { request } from 'undici';
import { clientSignal, listen } from '../../../../common/http.ts';
import { sendJsonText } from '../../../../server/api/send-text.ts';

const megabyte = 'x'.repeat(2 ** 20);

async function serve(handler: RequestHandler) {
  const app = express();
  app.get('/', handler);
  const listening = await listen(app, 0, '127.0.0.1');
  return {
    url: `http://127.0.0.1:${listening.port}/`,
    [Symbol.asyncDispose]: () => listening.close(),
  };
}

describe('sendJsonText', () => {
  it('sends a short text whole, with its length', async () => {
    await using server = await serve((_req, res) =>
      sendJsonText(res, ['[1', ',2]'], clientSignal(res)),
    );

    const res = await fetch(server.url);

    assert.equal(res.headers.get('content-length'), '5');
    assert.match(res.headers.get('content-type') ?? '', /^application\/json/);
    assert.deepEqual(await res.json(), [1, 2]);
  });

  it('sends a long text in pieces, all of it', async () => {
    const parts = ['["', ...Array<string>(20).fill(megabyte), '"]'];
    await using server = await serve((_req, res) => sendJsonText(res, parts, clientSignal(res)));

    const [text] = (await (await fetch(server.url)).json()) as [string];

    assert.equal(text.length, 20 * 2 ** 20);
  });

  it('is compressed as the client asks, where that is worth it', async () => {
    const [small, medium, large] = [100, 10_000, 2 ** 20].map((length) => 'x'.repeat(length));
    for (const [text = '', coding] of [
      [small, undefined],
      [medium, 'gzip'],
      [large, 'gzip'],
    ] as const) {
      await using server = await serve((_req, res) =>
        sendJsonText(res, ['["', text, '"]'], clientSignal(res)),
      );

      const res = await request(server.url, { headers: { 'accept-encoding': 'gzip' } });
      const plain = await request(server.url);

      const bytes = Buffer.from(await res.body.arrayBuffer());
      assert.equal(res.headers['content-encoding'], coding);
      assert.deepEqual(JSON.parse((coding ? gunzipSync(bytes) : bytes).toString()), [text]);
      assert.equal(plain.headers['content-encoding'], undefined);
      assert.equal(await plain.body.text(), JSON.stringify([text]));
      if (coding) assert.equal(plain.headers['vary'], 'accept-encoding');
    }
  });

  it('gives others their turn between two pieces', async () => {
    let turns = 0;
    const parts = function* (): Generator<string> {
      yield '["';
      for (let i = 0; i < 20; i++) {
        setImmediate(() => void turns++);
        yield 'x'.repeat(2 ** 16);
      }
      yield `",${turns}]`;
    };
    await using server = await serve((_req, res) => sendJsonText(res, parts(), clientSignal(res)));

    const [, turnsMeanwhile] = (await (await fetch(server.url)).json()) as [string, number];

    assert.ok(turnsMeanwhile >= 19, `${turnsMeanwhile} turns in 20 pieces`);
  });

  it('makes no more text for a client who left', async () => {
    let made = 0;
    function* endless(): Generator<string> {
      for (;;) {
        made += 1;
        yield megabyte;
      }
    }
    let ended: Promise<unknown> | undefined;
    await using server = await serve((_req, res) => {
      ended = sendJsonText(res, endless(), clientSignal(res)).catch((err: Error) => err.name);
    });
    const client = new AbortController();

    const res = await fetch(server.url, { signal: client.signal });
    await res.body?.getReader().read();
    client.abort();

    assert.equal(await ended, 'ClientGoneError');
    const madeThen = made;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(made, madeThen);
  });
});
