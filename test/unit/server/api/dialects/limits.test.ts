import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkAnswer, checkTop } from '../../../../../server/api/dialects/limits.ts';
import { readRows } from '../../../../../server/api/rows.ts';

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
