import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BigramModels } from '../../../support/bigram-model.ts';
import { catalogModel, type ServerKit, startServerKit } from '../../../support/server-kit.ts';

const start = (models = new BigramModels()) =>
  startServerKit({
    load: models.load,
    models: ['rl/a', 'rl/b', 'rl/c', 'ml/c'].map((name) => catalogModel(name)),
  });
const listed = async (kit: ServerKit): Promise<string[]> =>
  (await kit.get('/cache')).body.models.map((model: { name: string }) => model.name);

describe('/cache', () => {
  it('is empty at first', async () => {
    await using kit = await start();

    assert.deepEqual((await kit.get('/cache')).body, { num_models: 0, max_models: 2, models: [] });
  });

  it('loads by PUT and answers once loaded, for every way to write a name', async () => {
    const models = new BigramModels();
    await using kit = await start(models);

    for (const path of ['/cache/a', '/cache/rl/a', '/cache/rl%2Fa']) {
      const { status, body } = await kit.request('PUT', path);

      assert.equal(status, 200);
      assert.match(body.last_used, /^\d{4}-.*Z$/);
      assert.deepEqual(
        { ...body, last_used: '' },
        {
          name: 'rl/a',
          bytes: 1000,
          quantization: 'None',
          revision: 'revision-of-rl/a',
          in_flight: 0,
          last_used: '',
        },
      );
      assert.deepEqual((await kit.get(path)).body, { ...body });
    }
    assert.equal(models.loads.length, 1);
  });

  it('lists the most recently used first, and evicts the least recently used', async () => {
    await using kit = await start();

    await kit.request('PUT', '/cache/rl/a');
    await kit.request('PUT', '/cache/rl/b');
    assert.deepEqual(await listed(kit), ['rl/b', 'rl/a']);
    await kit.post('/v1/logprobs', { model: 'rl/a', input_ids: [[1, 2]] });
    assert.deepEqual(await listed(kit), ['rl/a', 'rl/b']);
    await kit.request('PUT', '/cache/rl/c');

    assert.deepEqual(await listed(kit), ['rl/c', 'rl/a']);
    assert.equal((await kit.get('/cache/rl/b')).body.error.code, 'NOT_CACHED');
  });

  it('drops one by DELETE, then knows it no more', async () => {
    const models = new BigramModels();
    await using kit = await start(models);
    await kit.request('PUT', '/cache/rl/a');

    assert.deepEqual((await kit.request('DELETE', '/cache/rl/a')).body, { removed: ['rl/a'] });

    assert.equal(models.sessions[0]?.isOpen, false);
    assert.equal((await kit.request('DELETE', '/cache/rl/a')).body.error.code, 'NOT_CACHED');
  });

  it('drops all by DELETE', async () => {
    await using kit = await start();
    await kit.request('PUT', '/cache/rl/a');
    await kit.request('PUT', '/cache/rl/b');

    const { body } = await kit.request('DELETE', '/cache');

    assert.deepEqual(body.removed.sort(), ['rl/a', 'rl/b']);
    assert.deepEqual(await listed(kit), []);
  });

  it('asks for the namespace of a name that stands in several', async () => {
    await using kit = await start();

    for (const method of ['GET', 'PUT', 'DELETE']) {
      assert.equal((await kit.request(method, '/cache/c')).body.error.code, 'AMBIGUOUS_MODEL');
    }
  });
});
