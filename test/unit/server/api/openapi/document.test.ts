import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { logprobsRequest } from '../../../../../server/api/native/request.ts';
import { openApiDocument, requestSchema } from '../../../../../server/api/openapi/document.ts';
import { BigramModels } from '../../../../support/bigram-model.ts';
import { startServerKit } from '../../../../support/server-kit.ts';

describe('the OpenAPI document', () => {
  it('is served', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    const { status, body } = await kit.get('/openapi.json');

    assert.equal(status, 200);
    assert.deepEqual(body, JSON.parse(JSON.stringify(openApiDocument())));
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

  it('says of every field of a dialect what it is, gives each operation one name, and each parameter a schema', () => {
    const { paths } = openApiDocument() as {
      paths: Record<string, Record<string, { operationId: string; parameters?: object[] }>>;
    };
    const operations = Object.values(paths).flatMap((methods) => Object.values(methods));

    assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
    assert.doesNotMatch(JSON.stringify(paths['/generate']), /"(input_ids|text)":\{\}/);
    assert.equal(paths['/cache/{namespace}/{name}']?.['put']?.parameters?.length, 2);
  });
});
