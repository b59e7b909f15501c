import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import express from 'express';
import { request } from 'undici';
import { clientSignal, codings, listen } from '../../../../../common/http.ts';
import { compressorFor, pipeText } from '../../../../../server/api/answer/coding.ts';

async function serve(text: string) {
  const app = express();
  app.get('/', async (_req, res) => {
    async function* pieces() {
      yield text;
    }
    await pipeText(pieces(), compressorFor(res), res, clientSignal(res));
  });
  const listening = await listen(app, 0, '127.0.0.1');
  const ask = async (accepted?: string) => {
    const res = await request(`http://127.0.0.1:${listening.port}/`, {
      headers: accepted === undefined ? {} : { 'accept-encoding': accepted },
    });
    const bytes = Buffer.from(await res.body.arrayBuffer());
    return { coding: res.headers['content-encoding'], vary: res.headers['vary'], bytes };
  };
  return { ask, [Symbol.asyncDispose]: () => listening.close() };
}

describe('compressorFor', () => {
  it('takes the coding that the client asks for, and none that it refuses', async () => {
    await using server = await serve('abc');

    const gzip = await server.ask('gzip');
    assert.equal(gzip.coding, 'gzip');
    assert.equal(gunzipSync(gzip.bytes).toString(), 'abc');
    for (const accepted of [undefined, '', 'identity', 'gzip;q=0', 'br', 'rot13']) {
      const { coding, vary, bytes } = await server.ask(accepted);

      assert.equal(coding, undefined, accepted);
      assert.equal(vary, 'accept-encoding');
      assert.equal(bytes.toString(), 'abc');
    }
  });

  it('prefers zstd where Node.js has it, else gzip', async () => {
    await using server = await serve('abc');

    const { coding } = await server.ask('gzip, zstd');

    assert.equal(coding, codings.includes('zstd') ? 'zstd' : 'gzip');
  });
});
