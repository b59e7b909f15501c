import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BigramModels } from '../../../support/bigram-model.ts';
import { catalogModel, startServerKit } from '../../../support/server-kit.ts';

describe('GET /v1/models', () => {
  it('lists the catalog with the longest row, which a checkpoint may shorten', async () => {
    const models = [catalogModel('rl/a'), catalogModel('rl/b')];
    const { load } = new BigramModels({ contextTokens: 50 });
    await using kit = await startServerKit({ load, models });
    await kit.request('PUT', '/cache/rl/b');

    const { body } = await kit.get('/v1/models');

    assert.equal(body.object, 'list');
    const [{ created, ...a }, b] = body.data;
    assert.ok(Number.isInteger(created));
    assert.deepEqual(a, {
      id: 'rl/a',
      object: 'model',
      owned_by: 'refmodel',
      root: 'rl/a',
      max_model_len: 64,
    });
    assert.equal(b.max_model_len, 50);
  });
});
