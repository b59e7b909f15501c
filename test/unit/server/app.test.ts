import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ErrorCode, errorKinds } from '../../../common/errors.ts';
import { BigramModels } from '../../support/bigram-model.ts';
import { catalogModel, startServerKit } from '../../support/server-kit.ts';

interface BadInput {
  name: string;
  code: ErrorCode;
  path?: string;
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  says?: RegExp;
}

const good = { model: 'rl/tiny', input_ids: [[1, 2]] };
const table: BadInput[] = [
  { name: 'malformed JSON', body: '{"input_ids": [[1,', code: 'MALFORMED_JSON' },
  { name: 'a body that is no object', body: '5', code: 'MALFORMED_JSON' },
  { name: 'no body', body: '', code: 'INVALID_REQUEST' },
  {
    name: 'another content type',
    body: 'a=b',
    headers: { 'content-type': 'text/plain' },
    code: 'UNSUPPORTED_MEDIA_TYPE',
  },
  {
    name: 'an unknown encoding',
    body: good,
    headers: { 'content-encoding': 'x' },
    code: 'UNSUPPORTED_MEDIA_TYPE',
  },
  {
    name: 'a body past the limit',
    body: { ...good, model: 'x'.repeat(3000) },
    code: 'BODY_TOO_LARGE',
  },
  {
    name: 'more rows than could wait',
    body: { ...good, input_ids: Array.from({ length: 9 }, () => [1]) },
    code: 'BODY_TOO_LARGE',
  },
  { name: 'an empty batch', body: { ...good, input_ids: [] }, code: 'EMPTY_BATCH' },
  {
    name: 'an empty row',
    body: { ...good, input_ids: [[1], []] },
    code: 'EMPTY_BATCH',
    says: /\[1\]/,
  },
  {
    name: 'a token outside the vocabulary',
    body: { ...good, input_ids: [[1], [2, 64]] },
    code: 'TOKEN_OUT_OF_RANGE',
    says: /\[1\]\[1\]: 64 .* 63/,
  },
  {
    name: 'a sequence past the context',
    body: { ...good, input_ids: [Array<number>(65).fill(1)] },
    code: 'SEQUENCE_TOO_LONG',
    says: /65 .* 64/,
  },
  {
    name: 'a mask with holes',
    body: { input_ids: [[1, 2, 3]], attention_mask: [[1, 0, 1]], model: 'rl/tiny' },
    code: 'INVALID_REQUEST',
    says: /attention_mask\[0\]/,
  },
  {
    name: 'an unknown field',
    body: { ...good, min_p: 2 },
    code: 'INVALID_REQUEST',
    says: /min_p/,
  },
  {
    name: 'an unknown model',
    body: { ...good, model: 'rl/none' },
    code: 'MODEL_NOT_FOUND',
    says: /rl\/none/,
  },
  { name: 'no model among two', body: { input_ids: [[1]] }, code: 'AMBIGUOUS_MODEL' },
  {
    name: 'a model that the catalog never gets',
    body: good,
    headers: { 'x-refmodel-model': 'rl/late' },
    code: 'CATALOG_STALE',
  },
  { name: 'an unknown route', path: '/v1/nothing', body: good, code: 'ROUTE_NOT_FOUND' },
  { name: 'a wrong method', method: 'GET', code: 'METHOD_NOT_ALLOWED' },
  {
    name: 'a text for a model without a tokenizer',
    path: '/v1/completions',
    body: { model: 'rl/tiny', prompt: 'hello' },
    code: 'TOKENIZER_UNAVAILABLE',
    says: /token ids/,
  },
  {
    name: 'texts for a model without a tokenizer',
    path: '/v1/completions',
    body: { model: 'rl/tiny', prompt: ['hello'] },
    code: 'TOKENIZER_UNAVAILABLE',
    says: /token ids/,
  },
  {
    name: 'ids and rows mixed',
    path: '/v1/completions',
    body: { model: 'rl/tiny', prompt: [1, [2]] },
    code: 'INVALID_REQUEST',
    says: /prompt\[0\]/,
  },
  {
    name: 'an empty prompt',
    path: '/v1/completions',
    body: { model: 'rl/tiny', prompt: [] },
    code: 'EMPTY_BATCH',
  },
  {
    name: 'generation',
    path: '/v1/completions',
    body: { model: 'rl/tiny', prompt: [1], max_tokens: 16 },
    code: 'INVALID_REQUEST',
    says: /max_tokens/,
  },
  {
    name: 'too many candidates',
    path: '/v1/completions',
    body: { model: 'rl/tiny', prompt: [1], prompt_logprobs: 11 },
    code: 'INVALID_REQUEST',
    says: /prompt_logprobs: the limit is 10/,
  },
  {
    name: 'an answer past the limit',
    path: '/v1/completions',
    body: { model: 'rl/tiny', prompt: [Array<number>(40).fill(1)], prompt_logprobs: 10 },
    code: 'BODY_TOO_LARGE',
  },
  {
    name: 'hidden states past the limit',
    body: {
      model: 'rl/tiny',
      input_ids: Array(6).fill(Array(50).fill(1)),
      outputs: ['hidden_states'],
    },
    code: 'BODY_TOO_LARGE',
    says: /600 values, the limit is 400/,
  },
  {
    name: 'outputs past the limit together',
    body: { model: 'rl/tiny', input_ids: [Array(201).fill(1)], outputs: ['entropy', 'logprobs'] },
    code: 'BODY_TOO_LARGE',
    says: /402 values, the limit is 400/,
  },
  {
    name: 'a model that is not cached',
    path: '/cache/rl/tiny2',
    method: 'GET',
    code: 'NOT_CACHED',
  },
  {
    name: 'an unknown model to load',
    path: '/cache/rl/none',
    method: 'PUT',
    code: 'MODEL_NOT_FOUND',
  },
  {
    name: 'a path that does not decode',
    path: '/cache/%ff',
    method: 'GET',
    code: 'INVALID_REQUEST',
  },
];

describe('the server', () => {
  it('answers bad input with a code and a cause, and serves on', async (t) => {
    const models = [catalogModel('rl/tiny'), catalogModel('rl/tiny2')];
    const env = {
      REFMODEL_MAX_BODY_BYTES: '2000',
      REFMODEL_MAX_QUEUED_ROWS: '8',
      REFMODEL_MAX_TOP_LOGPROBS: '10',
      REFMODEL_MAX_ANSWER_VALUES: '400',
      REFMODEL_CATALOG_WAIT_MS: '1',
    };
    await using kit = await startServerKit({ load: new BigramModels().load, models, env });

    for (const {
      name,
      code,
      path = '/v1/logprobs',
      method = 'POST',
      body,
      headers,
      says,
    } of table) {
      await t.test(`${name}: ${code}`, async () => {
        const res =
          method === 'POST' ? await kit.post(path, body, headers) : await kit.request(method, path);

        assert.equal(res.body.error?.code, code, res.text);
        assert.equal(res.status, errorKinds[code].status);
        assert.match(res.body.error.message, says ?? /./);
        assert.equal(res.body.error.request_id, res.headers.get('x-request-id'));
        assert.equal(res.headers.has('retry-after'), res.status === 503);
        assert.ok(!/\n\s+at /.test(res.text), 'a stack leaked');
      });
    }
    assert.equal((await kit.post('/v1/logprobs', good)).status, 200);
  });

  it('says what it can do with a route', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    assert.equal((await kit.get('/v1/logprobs')).headers.get('allow'), 'POST');
    assert.equal(
      (await kit.request('PATCH', '/cache/tiny')).headers.get('allow'),
      'GET, PUT, DELETE',
    );
  });

  it('knows its routes in the writing of the documentation only, as gateways judge it', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    for (const path of [
      '/CACHE',
      '/Cache/rl/tiny',
      '/%63ache',
      '//cache',
      '/V1/models',
      '/State',
    ]) {
      assert.equal((await kit.get(path)).status, 404, path);
    }
  });

  it('is healthy on every path that clients probe, with and without a slash', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    for (const path of ['/health', '/health/', '/healthz', '/readyz']) {
      assert.equal((await kit.get(path)).status, 200, path);
    }
  });

  it('measures requests by route pattern and code', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    await kit.get('/cache/rl/some-model');
    await kit.get('/some/other/path');

    const { text } = await kit.get('/metrics');

    assert.match(text, /requests_total\{route="\/cache\/:namespace\/:name",code="404"\} 1/);
    assert.match(text, /requests_total\{route="none",code="404"\} 1/);
    assert.ok(!text.includes('some-model'));
  });
});
