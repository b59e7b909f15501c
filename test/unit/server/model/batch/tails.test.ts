import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tailsOf } from '../../../../../server/model/batch/tails.ts';
import { bigram, scoreRow, vocabularySize } from '../../../../support/bigram-model.ts';
import { scoreAll } from '../../../../support/engine-kit.ts';

const near = (found: number | undefined, want: number) =>
  assert.ok(Math.abs(found! - want) < 1e-6, `${found} is not ${want}`);

describe('tailsOf', () => {
  it('is what tops and candidates leave, a token of both counted once', () => {
    const { topIds } = scoreRow(scoreAll([5, 1], { topK: 2 }));
    const other = Array.from({ length: 9 }, (_, id) => id).find((id) => !topIds.includes(id))!;
    const candidates = { ids: Int32Array.of(topIds[0]!, other, other, -1), width: 4 };
    const row = scoreRow(scoreAll([5, 1], { topK: 2, candidates }));

    const [tail] = tailsOf(row, candidates);

    const all = bigram(5);
    const shown = [topIds[0]!, topIds[1]!, other].reduce((sum, id) => sum + Math.exp(all[id]!), 0);
    near(tail, 1 - shown);
  });

  it('is nothing where all tokens are shown, and never below', () => {
    const [tail] = tailsOf(scoreRow(scoreAll([5, 1], { topK: vocabularySize })));

    near(tail, 0);
    assert.ok(tail! >= 0, 'it is below 0');
  });
});
