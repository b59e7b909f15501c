import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BigramModels } from '../../../support/bigram-model.ts';
import { type ServerKit, startServerKit, until } from '../../../support/server-kit.ts';

const row = { input_ids: [[1, 2]] };
const bodyBytes = JSON.stringify(row).length;
const inFlight = async (kit: ServerKit) => (await kit.get('/state')).body.models[0]?.inFlight;

function heldModels() {
  const models = new BigramModels();
  let open = () => {};
  models.gate = new Promise((resolve) => {
    open = resolve;
  });
  return { load: models.load, open: () => open() };
}

describe('the admission of scoring requests', () => {
  for (const [name, env] of [
    ['number', { REFMODEL_MAX_REQUESTS: '2' }],
    ['bytes', { REFMODEL_MAX_REQUEST_BYTES: String(2 * bodyBytes) }],
  ] as const) {
    it(`is bounded by their ${name}, and open again when they are answered`, async () => {
      const { load, open } = heldModels();
      await using kit = await startServerKit({ load, env });
      const held = [kit.post('/v1/logprobs', row), kit.post('/v1/logprobs', row)];
      await until(async () => (await inFlight(kit)) === 2);

      const refused = await kit.post('/v1/logprobs', row);
      assert.equal(refused.body.error.code, 'QUEUE_FULL');
      assert.equal(refused.headers.get('retry-after'), '1');
      open();
      for (const { status } of await Promise.all(held)) assert.equal(status, 200);

      await until(async () => (await kit.post('/v1/logprobs', row)).status === 200);
    });
  }

  it('does not refuse a request alone for its size', async () => {
    const env = { REFMODEL_MAX_REQUEST_BYTES: '1' };
    await using kit = await startServerKit({ load: new BigramModels().load, env });

    assert.equal((await kit.post('/v1/logprobs', row)).status, 200);
  });

  it('is open again when those who waited have left', async () => {
    const { load, open } = heldModels();
    await using kit = await startServerKit({ load, env: { REFMODEL_MAX_REQUESTS: '1' } });
    const client = new AbortController();
    const left = kit.post('/v1/logprobs', row, {}, client.signal);
    await until(async () => (await inFlight(kit)) === 1);

    client.abort();
    await assert.rejects(left);
    await until(async () => (await inFlight(kit)) === 0);
    open();

    assert.equal((await kit.post('/v1/logprobs', row)).status, 200);
  });
});
