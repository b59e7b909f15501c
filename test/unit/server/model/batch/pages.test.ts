import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { layOutPages } from '../../../../../server/model/batch/pages.ts';
import { growTree } from '../../../../../server/model/batch/prefix-tree.ts';
import { alikeRows } from '../../../../support/alike-rows.ts';

describe('layOutPages', () => {
  it('begins the table of a row with the pages that it shares', () => {
    const leaves = [
      { length: 5, shared: 0 },
      { length: 5, shared: 4 },
      { length: 3, shared: 2 },
    ];

    const laid = layOutPages(leaves, 2);

    assert.deepEqual([...laid.starts], [0, 5, 6, 7]);
    assert.deepEqual([...laid.past], [0, 4, 2]);
    assert.deepEqual([...laid.table], [0, 1, 2, 0, 1, 3, 0, 4, 0]);
    assert.deepEqual([laid.width, laid.pages, laid.mostOwn, laid.longest], [3, 5, 5, 5]);
  });

  it('lets each row read its own tokens in order, whatever the rows', () => {
    fc.assert(
      fc.property(alikeRows, fc.integer({ min: 1, max: 9 }), (rows, pageTokens) => {
        const { tokens, leaves } = growTree(rows, { pageTokens });

        const { starts, past, table, width, pages } = layOutPages(leaves, pageTokens);

        const slots = new Map<number, number>();
        const slotOf = (r: number, position: number) => {
          const page = table[r * width + Math.floor(position / pageTokens)]!;
          assert.ok(page < pages, 'a page that is not there');
          return page * pageTokens + (position % pageTokens);
        };
        for (const [r, { length, shared }] of leaves.entries()) {
          assert.equal(past[r], shared);
          for (let position = shared; position < length; position++) {
            const slot = slotOf(r, position);
            assert.ok(!slots.has(slot), 'two tokens in one slot');
            slots.set(slot, starts[r]! + position - shared);
          }
        }
        for (const [r, { path }] of leaves.entries()) {
          const read = Int32Array.from(path, (_, position) => slots.get(slotOf(r, position))!);
          assert.deepEqual(read, path);
        }
        assert.equal(starts.at(-1), tokens.length);
      }),
    );
  });
});
