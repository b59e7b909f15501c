import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseBody, rowsRequest } from '../../../../server/api/schemas.ts';

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
