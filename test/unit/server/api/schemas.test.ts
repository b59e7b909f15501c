import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { completionsRequest, parseBody, rowsRequest } from '../../../../server/api/schemas.ts';

const refused = { code: 'INVALID_REQUEST' };

describe('the body of /v1/logprobs and /v1/rewards', () => {
  it('needs ids only', () => {
    assert.deepEqual(parseBody(rowsRequest, { input_ids: [[1]] }), { input_ids: [[1]] });
  });

  for (const [name, body] of [
    ['nothing', undefined],
    ['an array', [[1]]],
    ['no ids', { model: 'm' }],
    ['ids that are no array', { input_ids: 5 }],
    ['a model that is no text', { input_ids: [], model: 3 }],
    ['a setting that it would not honour', { input_ids: [[1]], temperature: 0.7 }],
  ] as const) {
    it(`is refused with ${name}`, () => {
      assert.throws(() => parseBody(rowsRequest, body), refused);
    });
  }

  it('names every field that is wrong', () => {
    assert.throws(() => parseBody(rowsRequest, { model: 3 }), {
      message: /model: .*input_ids: /s,
    });
  });
});

describe('the body of /v1/completions', () => {
  it('may carry what only steers sampling', () => {
    const body = { prompt: [1], temperature: 0.7, seed: 1, top_p: 0.1, n: 1, stream: false };

    parseBody(completionsRequest, body);
  });

  it('takes a number or a boolean for logprobs', () => {
    for (const logprobs of [0, 5, true, false, null]) {
      parseBody(completionsRequest, { prompt: [1], logprobs });
    }
  });

  for (const [name, fields] of [
    ['more than one new token', { max_tokens: 2 }],
    ['a negative number of new tokens', { max_tokens: -1 }],
    ['several choices', { n: 2 }],
    ['streaming', { stream: true }],
    ['a negative number of candidates', { prompt_logprobs: -1 }],
    ['a prompt that is a number', { prompt: 5 }],
  ] as const) {
    it(`is refused with ${name}`, () => {
      assert.throws(() => parseBody(completionsRequest, { prompt: [1], ...fields }), refused);
    });
  }
});
