import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PassDraft } from '../../../../../server/model/batch/pass.ts';
import { fullPass } from '../../../../../server/model/cuda/first-pass.ts';

describe('fullPass', () => {
  it('fills a pass with rows as long as they may be', () => {
    const rows = fullPass({ maxBatchTokens: 100, maxSequenceTokens: 40, vocabularySize: 50 });

    assert.deepEqual(
      rows.map(({ tokens }) => tokens.length),
      [40, 40, 20],
    );
  });

  it('is one pass of just its tokens, none of them computed for two rows', () => {
    const limits = fc.record({
      maxBatchTokens: fc.integer({ min: 1, max: 2000 }),
      maxSequenceTokens: fc.integer({ min: 20, max: 3000 }),
      vocabularySize: fc.integer({ min: 200, max: 500 }),
    });
    fc.assert(
      fc.property(limits, (given) => {
        const rows = fullPass(given);

        const draft = new PassDraft(given.maxBatchTokens);
        for (const { tokens } of rows) assert.notEqual(draft.add(tokens), undefined);
        const want = Math.max(given.maxBatchTokens, given.maxSequenceTokens);
        assert.equal(draft.report(0).packedTokens, want);
        const ids = rows.flatMap(({ tokens }) => [...tokens]);
        assert.ok(
          ids.every((id) => id >= 0 && id < given.vocabularySize),
          'an id is not in the vocabulary',
        );
      }),
    );
  });
});
