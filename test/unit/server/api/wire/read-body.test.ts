import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
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
    const gzipped = gzipSync(JSON.stringify({ input_ids: rows, top_k: 2 }));

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
