import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  candidates,
  mostLikely,
  nextToken,
  promptLogprobsText,
  shownIds,
} from '../../../../../server/api/dialects/candidates.ts';
import { scoreRow } from '../../../../support/bigram-model.ts';
import { scoreAll } from '../../../../support/engine-kit.ts';

const score = (ids: number[], topK: number, wantsNext = false) => {
  const tokens = Int32Array.from(ids);
  return { tokens, values: scoreRow(scoreAll(tokens, { wantsNext, topK, wantsRanks: true })) };
};

describe('candidates', () => {
  it('has the token itself first, whatever its rank, and then the best ones, none twice', () => {
    const { values } = score([60, 61], 3);

    const [own, ...others] = candidates(values, 0, 61, 3);

    assert.deepEqual(own, { id: 61, logprob: values.logprobs[0], rank: values.ranks[0] });
    assert.deepEqual(others, mostLikely(values, 0, 3));
    const best = mostLikely(values, 0, 1)[0];
    assert.ok(best);
    const likely = score([60, best.id], 3).values;
    assert.deepEqual(candidates(likely, 0, best.id, 3), mostLikely(likely, 0, 3));
  });
});

describe('mostLikely', () => {
  it('ranks from 1, and gives no more than were computed', () => {
    const { values } = score([1, 2, 3], 2);

    assert.deepEqual(
      mostLikely(values, 1, 5).map(({ rank }) => rank),
      [1, 2],
    );
    assert.equal(mostLikely(values, 1, 5)[0]?.id, values.topIds[2]);
  });
});

describe('nextToken', () => {
  it('is the most likely one after the row', () => {
    const { values } = score([1, 2], 3, true);

    assert.equal(nextToken(values), values.topIds[3]);
  });
});

describe('promptLogprobsText', () => {
  it('is valid JSON with nothing for the first token', () => {
    const row = score([1, 40, 2], 2);

    const parsed = JSON.parse([...promptLogprobsText(row, 2, (id) => `"${id}`)].join(''));

    assert.equal(parsed[0], null);
    assert.equal(parsed.length, 3);
    assert.equal(parsed[1][40].decoded_token, '"40');
    assert.deepEqual([...promptLogprobsText(score([1], 1), 1, String)].join(''), '[null]');
  });
});

describe('shownIds', () => {
  it('names every token that an answer may show', () => {
    const row = score([1, 2], 2);

    assert.deepEqual([...shownIds([row])], [1, 2, ...row.values.topIds]);
  });
});
