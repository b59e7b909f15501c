import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { logprobsRequest } from '../../../../server/api/native/request.ts';
import { openApiDocument, requestSchema, routes } from '../../../../server/api/openapi.ts';
import { BigramModels } from '../../../support/bigram-model.ts';
import { startServerKit } from '../../../support/server-kit.ts';

describe('the OpenAPI document', () => {
  it('is served, and every route of it exists', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    const { status, body } = await kit.get('/openapi.json');

    assert.equal(status, 200);
    assert.deepEqual(body, JSON.parse(JSON.stringify(openApiDocument())));
    for (const path of Object.keys(body.paths)) {
      const { status: answered } = await kit.get(path);
      assert.equal(answered, 405, `${path} is for POST`);
    }
  });

  it('says of every native field what it means and what it is', () => {
    const { properties } = requestSchema(logprobsRequest) as {
      properties: Record<string, { description?: string }>;
    };

    assert.deepEqual(Object.keys(properties), Object.keys(logprobsRequest.shape));
    for (const [name, field] of Object.entries(properties)) {
      assert.match(JSON.stringify(field), /"description"/, name);
      assert.match(JSON.stringify(field), /"type"|"enum"/, name);
    }
  });

  it('has the binary formats of the native routes', () => {
    assert.deepEqual(routes['/v1/rewards']?.types, [
      'application/json',
      'application/x-safetensors',
      'application/octet-stream',
    ]);
  });
});
