import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { logprobsRequest, rewardsRequest } from '../../../../../server/api/native/request.ts';
import { parseBody } from '../../../../../server/api/schemas.ts';

const refused = { code: 'INVALID_REQUEST' };

describe('the bodies of /v1/logprobs and /v1/rewards', () => {
  it('need ids only, in arrays or packed', () => {
    for (const input_ids of [[[1]], [Int32Array.of(1)], Int32Array.of(1)]) {
      assert.deepEqual(parseBody(rewardsRequest, { input_ids }), { input_ids });
      assert.deepEqual(parseBody(logprobsRequest, { input_ids }), { input_ids });
    }
  });

  for (const [name, body] of [
    ['nothing', undefined],
    ['an array', [[1]]],
    ['ids that are no array', { input_ids: 5 }],
    ['a model that is no text', { input_ids: [], model: 3 }],
    ['a setting that it would not honour', { input_ids: [[1]], top_p: 0.7 }],
  ] as const) {
    it(`are refused with ${name}`, () => {
      assert.throws(() => parseBody(rewardsRequest, body), refused);
      assert.throws(() => parseBody(logprobsRequest, body), refused);
    });
  }

  it('have no temperature where there is no distribution', () => {
    const body = { input_ids: [[1]], temperature: 0.7 };

    assert.throws(() => parseBody(rewardsRequest, body), refused);
    assert.equal(parseBody(logprobsRequest, body).temperature, 0.7);
  });
});
