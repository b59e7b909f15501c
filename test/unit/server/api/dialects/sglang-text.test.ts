import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SglangWanted } from '../../../../../server/api/dialects/sglang-request.ts';
import { sglangAsked } from '../../../../../server/api/dialects/sglang-request.ts';
import { sglangText } from '../../../../../server/api/dialects/sglang-text.ts';
import { scoreRow } from '../../../../support/bigram-model.ts';

function write(ids: number[], wanted: SglangWanted, isList = false) {
  const tokens = Int32Array.from(ids);
  const values = scoreRow({ tokens, ...sglangAsked(wanted, ids.length, limits) });
  const rows = [{ id: 'x', text: 't', tokens, values, wanted }];
  const view = { isList, weightVersion: 'v', textOf: (id: number) => `<${id}>` };
  return { body: JSON.parse([...sglangText(rows, view)].join('')), values };
}

const limits = { maxTopLogprobs: 5, maxAnswerValues: 100 };

describe('sglangText', () => {
  it('starts each list with an entry without a value, at the position that was asked', () => {
    const logprobs = { startLength: 1, topK: 2, chosen: { everywhere: [9] } };
    const { body, values } = write([5, 6, 7], {
      wantsNext: true,
      temperature: undefined,
      logprobs,
    });

    const meta = body.meta_info;
    assert.deepEqual(meta.input_token_logprobs[0], [null, 6, '<6>']);
    assert.deepEqual(meta.input_token_logprobs[1].slice(1), [7, '<7>']);
    assert.equal(Math.fround(meta.input_token_logprobs[1][0]), values.logprobs[0]);
    assert.equal(meta.input_top_logprobs[0], null);
    assert.equal(meta.input_top_logprobs[1].length, 2);
    assert.deepEqual(meta.input_token_ids_logprobs[0], null);
    assert.equal(meta.input_token_ids_logprobs[1][0][1], 9);
    assert.equal(meta.output_token_logprobs[0][1], body.output_ids[0]);
    assert.equal(meta.completion_tokens, 1);
  });

  it('has no lists where no log-probs are asked, and is a list for a list', () => {
    const { body } = write(
      [5],
      { wantsNext: false, temperature: undefined, logprobs: undefined },
      true,
    );

    assert.equal(body.length, 1);
    assert.deepEqual(body[0].output_ids, []);
    assert.equal('input_token_logprobs' in body[0].meta_info, false);
  });
});
