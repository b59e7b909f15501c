import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as zlib from 'node:zlib';
import { request } from 'undici';
import { codings } from '../../../../../common/http.ts';
import { BigramModels } from '../../../../support/bigram-model.ts';
import { int32Tensor, oipBody, safetensorsBody } from '../../../../support/binary-bodies.ts';
import { startServerKit } from '../../../../support/server-kit.ts';

const rows = [
  [5, 9, 2],
  [7, 3, 1],
];
const ids = int32Tensor('input_ids', [2, 3], rows.flat());
const accept = 'application/json';

describe('the body of a native request', () => {
  it('says the same in every format', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const want = (await kit.post('/v1/logprobs', { input_ids: rows, top_k: 2 })).body;
    const ask = (body: Buffer, headers: Record<string, string>) =>
      kit.request('POST', '/v1/logprobs', { body, headers: { accept, ...headers } });
    const oip = oipBody([ids], { top_k: 2 });
    const gzipped = zlib.gzipSync(JSON.stringify({ input_ids: rows, top_k: 2 }));

    const safetensors = await ask(safetensorsBody([ids], { top_k: '2' }), {
      'content-type': 'application/x-safetensors',
    });
    const inference = await ask(oip.body, oip.headers);
    const zipped = await ask(gzipped, { 'content-type': accept, 'content-encoding': 'gzip' });

    for (const { body } of [safetensors, inference, zipped]) assert.deepEqual(body, want);
  });

  it('is read by a thread where it is large, with the same values', async () => {
    await using kit = await startServerKit({
      load: new BigramModels().load,
      env: { REFMODEL_INLINE_BODY_BYTES: '10' },
    });
    const long = [Array.from({ length: 40 }, (_, i) => i)];

    const { status, body } = await kit.post('/v1/logprobs', { input_ids: long });

    assert.equal(status, 200);
    assert.equal(body.logprobs[0].length, 40);
    const broken = await kit.post('/v1/logprobs', '{"input_ids": [[1, 2');
    assert.equal(broken.body.error.code, 'MALFORMED_JSON');
    const other = await kit.post('/v1/completions', { prompt: long[0], prompt_logprobs: 0 });
    assert.equal(other.status, 200);
  });

  it('of the Open Inference Protocol is read by a thread too, in JSON and in binary', async () => {
    const infer = async (inlineBytes: string) => {
      await using kit = await startServerKit({
        load: new BigramModels().load,
        env: { REFMODEL_INLINE_BODY_BYTES: inlineBytes },
      });
      const data = Array.from({ length: 40 }, (_, i) => i);
      const inputs = [{ name: 'input_ids', datatype: 'INT64', shape: [2, 20], data }];
      const json = await kit.post('/v2/models/tiny/infer', { inputs });
      const broken = await kit.post('/v2/models/tiny/infer', '{"inputs": [');
      const { body, headers } = oipBody([ids]);
      const binary = await kit.request('POST', '/v1/logprobs', { body, headers });
      return [json.body, broken.body.code, binary.text.length];
    };

    const [json, code, length] = await infer('10');

    assert.deepEqual([json, code, length], await infer('100000'));
    assert.deepEqual((json as { outputs: { shape: number[] }[] }).outputs[0]?.shape, [2, 20]);
    assert.equal(code, 'MALFORMED_BODY');
  });

  it('in a coding that is not read is refused with those that are', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    const { status, headers, body } = await kit.post('/v1/logprobs', '{}', {
      'content-encoding': 'rot13',
    });

    assert.equal(status, 415);
    assert.equal(headers.get('accept-encoding'), codings.join(', '));
    assert.match(body.error.message, /gzip, deflate, br/);
    const type = await kit.post('/v1/logprobs', '{}', { 'content-type': 'text/plain' });
    assert.deepEqual([type.status, type.headers.get('accept-encoding')], [415, null]);
  });

  it('may be in zstd', { skip: !codings.includes('zstd') && 'not in this Node.js' }, async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const compress = Reflect.get(zlib, 'zstdCompressSync') as (text: string) => Buffer;
    const long = { input_ids: [Array.from({ length: 60 }, (_, i) => i)], top_k: 10 };

    const plain = await kit.post('/v1/logprobs', long);
    const { status, body } = await kit.request('POST', '/v1/logprobs', {
      body: new Uint8Array(compress(JSON.stringify(long))),
      headers: { 'content-type': accept, 'content-encoding': 'zstd' },
    });
    const res = await request(`${kit.url}/v1/logprobs`, {
      method: 'POST',
      headers: { 'content-type': accept, 'accept-encoding': 'zstd' },
      body: JSON.stringify(long),
    });

    assert.equal(status, 200);
    assert.deepEqual(body, plain.body);
    assert.equal(res.headers['content-encoding'], 'zstd');
    const expand = Reflect.get(zlib, 'zstdDecompressSync') as (bytes: Buffer) => Buffer;
    const bytes = Buffer.from(await res.body.arrayBuffer());
    assert.deepEqual(JSON.parse(expand(bytes).toString()), plain.body);
  });

  it('is refused with a clear error where it is broken', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const ask = (body: Buffer, type: string) =>
      kit.request('POST', '/v1/logprobs', { body, headers: { 'content-type': type } });

    const short = await ask(safetensorsBody([ids]).subarray(0, -1), 'application/x-safetensors');
    const headless = await ask(oipBody([ids]).body, 'application/octet-stream');
    const zipped = await kit.request('POST', '/v1/logprobs', {
      body: '{}',
      headers: { 'content-type': accept, 'content-encoding': 'gzip' },
    });

    assert.deepEqual([short.status, short.body.error.code], [400, 'MALFORMED_BODY']);
    assert.match(headless.body.error.message, /inference-header-content-length/);
    assert.equal(zipped.status, 400);
  });
});
