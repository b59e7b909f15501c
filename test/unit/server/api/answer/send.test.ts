import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { request } from 'undici';
import { BigramModels } from '../../../../support/bigram-model.ts';
import { readOip, readSafetensors } from '../../../../support/binary-bodies.ts';
import { startServerKit } from '../../../../support/server-kit.ts';

const ids = [
  [5, 9, 2],
  [7, 3],
];

async function ask(url: string, body: object, headers: Record<string, string>) {
  const res = await request(`${url}/v1/logprobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { headers: res.headers, bytes: Buffer.from(await res.body.arrayBuffer()) };
}

describe('an answer', () => {
  it('has the format of Accept, and the same values in each', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const json = (await kit.post('/v1/logprobs', { input_ids: ids })).body;
    const want = json.logprobs
      .flat()
      .map((value: number | null) => value ?? NaN)
      .map(Math.fround);

    const safetensors = await ask(
      kit.url,
      { input_ids: ids },
      { accept: 'application/x-safetensors' },
    );
    const oip = await ask(kit.url, { input_ids: ids }, { accept: 'application/octet-stream' });

    const { tensors, metadata } = readSafetensors(safetensors.bytes);
    assert.deepEqual(tensors['logprobs'].values, want);
    assert.deepEqual(tensors['offsets'].values, [0, 3, 5]);
    assert.equal(metadata['revision'], json.revision);
    const length = Number(oip.headers['inference-header-content-length']);
    assert.deepEqual(readOip(oip.bytes, length).tensors['logprobs'].values, want);
  });

  it('is JSON for a client that takes anything, or nothing of ours', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    for (const accept of ['*/*', 'text/html', 'application/json, */*']) {
      const { headers } = await ask(kit.url, { input_ids: ids }, { accept });

      assert.match(String(headers['content-type']), /^application\/json/, accept);
    }
  });

  it('is compressed where that is asked and it is long', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const long = { input_ids: Array.from({ length: 8 }, () => Array(60).fill(3)) };

    const plain = await ask(kit.url, long, {});
    const zipped = await ask(kit.url, long, { 'accept-encoding': 'gzip' });
    const short = await ask(kit.url, { input_ids: ids }, { 'accept-encoding': 'gzip' });

    assert.equal(plain.headers['content-encoding'], undefined);
    assert.equal(zipped.headers['content-encoding'], 'gzip');
    assert.deepEqual(gunzipSync(zipped.bytes), plain.bytes);
    assert.equal(short.headers['content-encoding'], undefined);
  });
});
