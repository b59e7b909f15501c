import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  compareEntries,
  countUp,
  growTree,
  PrefixOrder,
  type PrefixTree,
  toEntry,
} from '../../../../../server/model/batch/prefix-tree.ts';
import { alikeRows, beginnings } from '../../../../support/alike-rows.ts';

const rowsOf = (...rows: number[][]) => rows.map((row) => Int32Array.from(row));
const shapeOf = ({ leaves }: PrefixTree) =>
  leaves.map(({ length, shared }) => [length, shared] as const);

/** As the rotary scaling of some models has it: one way up to a length, another beyond. */
const twoRegimes = (length: number) => Number(length > 60);

describe('growTree', () => {
  const cases = [
    { name: 'nothing of nothing', rows: [], want: [] },
    { name: 'a row as it is', rows: [[5, 6, 7]], want: [[3, 0]] },
    {
      name: 'what rows begin with once',
      rows: [
        [5, 6, 7, 8],
        [5, 6, 9],
      ],
      want: [
        [4, 0],
        [3, 2],
      ],
    },
    {
      name: 'equal rows once',
      rows: [
        [5, 6],
        [5, 6],
        [5, 6],
      ],
      want: [[2, 0]],
    },
    { name: 'the beginning of a row not again', rows: [[5], [5, 6, 7], [5, 6]], want: [[3, 0]] },
    {
      name: 'shared parts within shared parts',
      rows: [
        [1, 2, 3, 4],
        [1, 2, 3, 5],
        [1, 9],
        [1, 2, 3],
      ],
      want: [
        [4, 0],
        [4, 3],
        [2, 1],
      ],
    },
    {
      name: 'rows with nothing in common apart',
      rows: [
        [1, 2],
        [2, 2],
      ],
      want: [
        [2, 0],
        [2, 0],
      ],
    },
  ];
  for (const { name, rows, want } of cases) {
    it(`keeps ${name}`, () => {
      const tree = growTree(rowsOf(...rows));

      assert.deepEqual(shapeOf(tree), want);
      assert.deepEqual(
        tree.paths.map((path) => Array.from(path, (at) => tree.tokens[at])),
        rows,
      );
    });
  }

  it('gives every row back, with each beginning once, whatever the rows', () => {
    fc.assert(
      fc.property(
        alikeRows,
        fc.constantFrom(() => 0, twoRegimes),
        (rows, regimeOf) => {
          const { tokens, positions, rowLengths, paths, leaves } = growTree(rows, { regimeOf });

          assert.equal(tokens.length, beginnings(rows, regimeOf).size);
          for (const [r, row] of rows.entries()) {
            const path = paths[r]!;
            assert.deepEqual(
              path.map((at) => tokens[at]!),
              row,
            );
            assert.deepEqual(
              path.map((at) => positions[at]!),
              Int32Array.from(row.keys()),
            );
            for (const at of path) assert.equal(regimeOf(rowLengths[at]!), regimeOf(row.length));
          }
          const lengths = new Set(rows.map((row) => row.length));
          for (const length of rowLengths) assert.ok(lengths.has(length), `no row has ${length}`);
          const added = leaves.flatMap(({ path, shared }) => [...path.subarray(shared)]);
          assert.deepEqual(added, [...tokens.keys()]);
        },
      ),
    );
  });
});

describe('growTree in pages', () => {
  it('shares whole pages only, and still answers every row', () => {
    fc.assert(
      fc.property(alikeRows, fc.integer({ min: 2, max: 9 }), (rows, pageTokens) => {
        const { tokens, positions, paths, leaves } = growTree(rows, { pageTokens });

        for (const [r, row] of rows.entries()) {
          const path = paths[r]!;
          assert.deepEqual(
            path.map((at) => tokens[at]!),
            row,
          );
          assert.deepEqual(
            Int32Array.from(path.keys()),
            path.map((at) => positions[at]!),
          );
        }
        for (const { shared, length } of leaves) {
          assert.equal(shared % pageTokens, 0);
          assert.ok(shared < length, 'a leaf has tokens of its own');
        }
        const whole = growTree(rows);
        assert.ok(tokens.length >= whole.tokens.length, 'more is shared than is alike');
        const rest = (pageTokens - 1) * (leaves.length - 1);
        assert.ok(tokens.length <= whole.tokens.length + rest, 'less than whole pages is shared');
      }),
    );
  });
});

describe('PrefixOrder', () => {
  it('says what each row adds to the tree, in whatever order they come', () => {
    fc.assert(
      fc.property(alikeRows, (rows) => {
        const order = new PrefixOrder();
        for (const [r, row] of rows.entries()) {
          const { at, shared } = order.find(toEntry(row));
          order.insert(toEntry(row), at);

          const before = beginnings(rows.slice(0, r)).size;
          assert.equal(before + row.length - shared, beginnings(rows.slice(0, r + 1)).size);
        }
        assert.deepEqual(
          order.leaves(1).map(({ length, shared }) => [length, shared]),
          shapeOf(growTree(rows)),
        );
      }),
    );
  });
});

describe('compareEntries', () => {
  it('puts the shorter of two rows that begin alike first, and regimes apart', () => {
    const [short, long] = rowsOf([7, 300], [7, 300, 0]);
    assert.ok(compareEntries(toEntry(short!), toEntry(long!)) < 0, 'shorter first');
    assert.ok(compareEntries(toEntry(short!, 1), toEntry(long!, 0)) > 0, 'regime first');
    assert.equal(compareEntries(toEntry(short!), toEntry(short!.slice())), 0);
  });

  it('compares what a view shows, not what lies around it', () => {
    const all = Int32Array.of(1, 2, 3, 2, 4);
    const entries = [toEntry(all.subarray(1, 2)), toEntry(all.subarray(3, 4))] as const;
    assert.equal(compareEntries(...entries), 0);
  });
});

describe('countUp', () => {
  it('fills with consecutive numbers', () => {
    const into = new Int32Array(3);
    countUp(into, 7);
    assert.deepEqual([...into], [7, 8, 9]);
  });
});
