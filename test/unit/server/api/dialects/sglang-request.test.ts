import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  firstPosition,
  sglangAsked,
  sglangPrompts,
  sglangRequest,
  sglangWanted,
} from '../../../../../server/api/dialects/sglang-request.ts';

const limits = { maxTopLogprobs: 5, maxAnswerValues: 100 };
const wanted = (body: object, count = 2) =>
  sglangWanted(sglangRequest.parse(body), { count, isList: true }, limits);
const refused = { code: 'INVALID_REQUEST' };

describe('a request to SGLang', () => {
  it('has texts or ids, one of them', () => {
    assert.equal(sglangPrompts(sglangRequest.parse({ text: 'a' })).isList, false);
    assert.equal(sglangPrompts(sglangRequest.parse({ input_ids: [[1]] })).isList, true);
    assert.throws(() => sglangPrompts(sglangRequest.parse({})), refused);
    assert.throws(() => sglangPrompts(sglangRequest.parse({ text: 'a', input_ids: [1] })), refused);
  });

  it('says one thing for all prompts, or one for each', () => {
    const [first, second] = wanted({
      return_logprob: [true, false],
      logprob_start_len: 0,
      top_logprobs_num: [1, 2],
      token_ids_logprob: [7, 8],
      sampling_params: { max_new_tokens: 1 },
    });

    assert.deepEqual(first, {
      wantsNext: true,
      temperature: undefined,
      logprobs: { startLength: 0, topK: 1, chosen: { everywhere: [7, 8] } },
    });
    assert.equal(second?.logprobs, undefined);
    const each = wanted({ return_logprob: true, token_ids_logprob: [[7], [8]] });
    assert.deepEqual(
      each.map(({ logprobs }) => logprobs?.chosen),
      [{ everywhere: [7] }, { everywhere: [8] }],
    );
  });

  it('is refused when its lists do not fit the prompts, or ask for too much', () => {
    assert.throws(() => wanted({ return_logprob: [true] }), refused);
    assert.throws(() => wanted({ token_ids_logprob: [[1]] }), refused);
    assert.throws(() => wanted({ top_logprobs_num: 6 }), refused);
    assert.throws(() => wanted({ token_ids_logprob: [1, 2, 3, 4, 5, 6] }), refused);
  });

  it('begins with the last token unless it says where', () => {
    assert.equal(firstPosition(-1, 5), 4);
    assert.equal(firstPosition(0, 5), 0);
  });

  it('asks for nothing before its start, and for the same ids at every position', () => {
    const [one] = wanted({ return_logprob: true, logprob_start_len: 1, token_ids_logprob: [7, 8] });
    assert.ok(one);

    const { positions, candidates } = sglangAsked(one, 4, limits);

    assert.deepEqual(positions, Int32Array.of(2, 3));
    assert.deepEqual(candidates, { ids: Int32Array.of(7, 8, 7, 8), width: 2 });
    assert.throws(() => sglangAsked(one, 0, limits), refused);
  });
});
