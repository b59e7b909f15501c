import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { packTokens } from '../../../../../server/model/batch/pack.ts';
import { PassDraft } from '../../../../../server/model/batch/pass.ts';
import { layOutRectangles } from '../../../../../server/model/batch/rectangles.ts';
import { alikeRows, beginnings } from '../../../../support/alike-rows.ts';

const row = (...tokens: number[]) => Int32Array.from(tokens);
const long = (length: number, last: number) =>
  Int32Array.from({ length }, (_, i) => (i === length - 1 ? last : 0));

describe('PassDraft', () => {
  it('counts what rows begin with once', () => {
    const draft = new PassDraft(6);

    assert.deepEqual(
      [row(1, 2, 3, 4), row(1, 2, 5), row(1, 2, 6), row(7, 8), row(1, 2, 3), row(7)].map((tokens) =>
        draft.add(tokens),
      ),
      [4, 1, 1, undefined, 0, undefined],
    );
  });

  it('takes a row that is longer than a pass, and nothing beside it', () => {
    const draft = new PassDraft(3);

    assert.equal(draft.add(row(1, 2, 3, 4)), 4);
    assert.equal(draft.add(row(1, 2, 3, 4)), undefined);
    assert.equal(draft.add(row(9)), undefined);
  });

  it('bounds what attention computes again', () => {
    const draft = new PassDraft(100);

    const added = Array.from({ length: 10 }, (_, i) => draft.add(long(50, i)));

    assert.deepEqual(added.slice(0, 5), [50, 1, 1, 1, undefined]);
  });

  it('bounds the room that short rows take in pages', () => {
    const draft = new PassDraft(100, 16);

    const added = Array.from({ length: 40 }, (_, i) => draft.add(row(i)));

    assert.equal(added.filter((count) => count === 1).length, 400 / 16);
  });

  it('bounds the tokens of the answer', () => {
    const draft = new PassDraft(10);

    const added = Array.from({ length: 20 }, () => draft.add(long(10, 1)));

    assert.equal(added.filter((count) => count === 0).length, 15);
  });

  it('reports what packing its rows comes to, whatever the rows', () => {
    fc.assert(
      fc.property(alikeRows, fc.integer({ min: 1, max: 1000 }), (rows, maxTokens) => {
        const draft = new PassDraft(maxTokens);
        const taken = rows.filter((tokens) => draft.add(tokens) !== undefined);

        const pass = draft.report(5);

        const packed = packTokens(taken.map((tokens) => ({ tokens })));
        assert.equal(pass.rows, taken.length);
        assert.equal(
          pass.tokens,
          taken.reduce((sum, { length }) => sum + length, 0),
        );
        assert.equal(pass.packedTokens, beginnings(taken).size);
        assert.equal(pass.packedTokens, packed.tokens.length);
        assert.equal(pass.slots, layOutRectangles(packed).slots.length);
        assert.ok(taken.length === 1 || pass.packedTokens <= maxTokens, 'over the budget');
        assert.ok(
          taken.length === 1 || pass.slots - pass.paddedSlots <= 2 * maxTokens,
          'more slots than may be',
        );
        assert.equal(pass.waitedMs, 5);
      }),
    );
  });

  it('counts whole pages, of which no attention is padding', () => {
    fc.assert(
      fc.property(alikeRows, fc.constantFrom(2, 16), (rows, pageTokens) => {
        const maxTokens = 200;
        const draft = new PassDraft(maxTokens, pageTokens);
        const taken = rows.filter((tokens) => draft.add(tokens) !== undefined);

        const pass = draft.report(0);

        const packed = packTokens(
          taken.map((tokens) => ({ tokens })),
          { pageTokens },
        );
        assert.equal(pass.packedTokens, packed.tokens.length);
        assert.deepEqual([pass.slots, pass.paddedSlots], [packed.tokens.length, 0]);
        assert.ok(taken.length === 1 || pass.packedTokens <= maxTokens, 'over the budget');
      }),
    );
  });

  it('tells padding from queries', () => {
    const draft = new PassDraft(100);
    draft.add(row(1, 2, 3));
    draft.add(row(4, 5));

    const { slots, paddedSlots } = draft.report(0);

    assert.deepEqual([slots, paddedSlots], [6, 1]);
  });
});
