import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Leaf } from '../../../../../server/model/batch/prefix-tree.ts';
import { pairs, pastOf, planRectangles } from '../../../../../server/model/batch/rectangles.ts';

const leavesOf = (...lengths: number[]): Leaf[] => lengths.map((length) => ({ length, shared: 0 }));
const shapes = (leaves: readonly Leaf[]) =>
  planRectangles(leaves).map(({ leaves, length, past }) => [leaves.length, length, past]);

const leaf = fc
  .record({ own: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3000 })) })
  .chain(({ own }) =>
    fc.oneof(fc.constant(0), fc.nat(700)).map((shared) => ({ length: shared + own, shared })),
  );

describe('planRectangles', () => {
  const cases = [
    { name: 'nothing of nothing', leaves: [], want: [] },
    { name: 'equal rows side by side', leaves: leavesOf(300, 300, 300), want: [[3, 300, 0]] },
    {
      name: 'rows of very different lengths apart',
      leaves: leavesOf(100, 1000, 100),
      want: [
        [1, 1000, 0],
        [2, 100, 0],
      ],
    },
    {
      name: 'the rows of a group after the first behind their prompt',
      leaves: [
        { length: 1024, shared: 0 },
        { length: 1024, shared: 512 },
        { length: 900, shared: 512 },
      ],
      want: [
        [1, 512, 512],
        [1, 388, 512],
        [1, 1024, 0],
      ],
    },
    {
      name: 'a short beginning again in every row',
      leaves: [
        { length: 90, shared: 0 },
        { length: 90, shared: 63 },
      ],
      want: [[2, 90, 0]],
    },
    {
      name: 'no more slots than may be',
      leaves: leavesOf(...Array<number>(9).fill(1000)),
      want: [
        [4, 1000, 0],
        [4, 1000, 0],
        [1, 1000, 0],
      ],
    },
    {
      name: 'a row longer than that by itself',
      leaves: leavesOf(9000, 9000),
      want: [
        [1, 9000, 0],
        [1, 9000, 0],
      ],
    },
  ];
  for (const { name, leaves, want } of cases) {
    it(`puts ${name}`, () => assert.deepEqual(shapes(leaves), want));
  }

  it('makes few rectangles of many tiny rows', () => {
    const lengths = Array.from({ length: 2000 }, (_, i) => 1 + (i % 16));
    const count = planRectangles(leavesOf(...lengths)).length;
    assert.ok(count <= 20, `${count} rectangles`);
  });

  it('has every leaf once, no past beside others, bounded slots, and padding worth one rectangle', () => {
    fc.assert(
      fc.property(fc.array(leaf, { maxLength: 60 }), (leaves) => {
        const planned = planRectangles(leaves);

        assert.deepEqual(
          new Set(planned.flatMap((rectangle) => rectangle.leaves)),
          new Set(leaves),
        );
        assert.equal(planned.flatMap((rectangle) => rectangle.leaves).length, leaves.length);
        for (const { leaves: members, length, past } of planned) {
          assert.equal(length + past, Math.max(...members.map((member) => member.length)));
          assert.ok(past === 0 || members.length === 1, 'a past for several rows');
          assert.ok(members.length === 1 || members.length * length <= 4096, 'too many slots');
          for (const member of members) assert.equal(past, pastOf(member));
          const needed = members.reduce(
            (sum, member) => sum + pairs(member.length - past, past),
            0,
          );
          const padding = members.length * pairs(length, past) - needed;
          assert.ok(padding <= 2048, `${padding} pairs for nothing`);
        }
      }),
    );
  });
});

describe('pairs', () => {
  it('counts the keys that each query sees', () => {
    assert.equal(pairs(100, 0), 5000);
    assert.equal(pairs(100, 50), 10_000);
  });
});
