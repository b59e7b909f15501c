import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkAnswer, checkTop } from '../../../../../server/api/dialects/limits.ts';
import { readRows } from '../../../../../server/api/rows.ts';
import { BigramModels } from '../../../../support/bigram-model.ts';
import { startServerKit } from '../../../../support/server-kit.ts';

const limits = { maxTopLogprobs: 5, maxAnswerValues: 12 };
const rows = readRows('ids', [[1, 2], [3]]);

describe('limits of an answer', () => {
  it('let as many candidates pass as they say, and name the field that asks for more', () => {
    checkTop('logprobs', 5, limits);
    checkTop('logprobs', undefined, limits);
    assert.throws(() => checkTop('logprobs', 6, limits), {
      code: 'INVALID_REQUEST',
      message: /logprobs.* 5/,
    });
  });

  it('bound the values of all tokens together', () => {
    checkAnswer(rows, 3, limits);
    assert.throws(() => checkAnswer(rows, 4, limits), { code: 'BODY_TOO_LARGE' });
  });
});

describe('an answer that is padded', () => {
  /** One long row, and many short ones: few tokens, many places. */
  const rows = [Array.from({ length: 30 }, (_, i) => i), ...Array.from({ length: 9 }, () => [1])];
  const pairs = rows.map(() => [1, 2]);
  const lists = pairs.map((_, r) => [[], r === 0 ? Array.from({ length: 20 }, (_, i) => i) : []]);

  for (const { path, body } of [
    {
      path: '/get_sequence_logprobs/',
      body: { sequences: rows, prompt_lengths: rows.map(() => 0), top_logprobs: 1 },
    },
    {
      path: '/v2/models/tiny/infer',
      body: { inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [10, 30], data: rows }] },
    },
    {
      path: '/v1/logprobs',
      body: {
        input_ids: pairs,
        candidate_ids: lists,
      },
    },
  ]) {
    it(`of ${path} is refused before room is made for its padding`, async () => {
      await using kit = await startServerKit({
        load: new BigramModels().load,
        env: { REFMODEL_MAX_ANSWER_VALUES: '100' },
      });

      const { status, text } = await kit.post(path, body);

      assert.equal(status, 413, text);
      assert.match(text, /BODY_TOO_LARGE/);
    });
  }
});
