import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { inOrder } from '../../../../server/offline/in-order.ts';

async function* stream<T>(items: Iterable<T>) {
  yield* items;
}

describe('inOrder', () => {
  it('gives the results in order, whatever takes how long, and never runs more than its width', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(5), { maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        async (turns, width) => {
          let [running, most] = [0, 0];
          const work = async (wait: number) => {
            most = Math.max(most, ++running);
            for (let i = 0; i < wait; i++) await Promise.resolve();
            running--;
            return wait;
          };

          const results: number[] = [];
          for await (const result of inOrder(stream(turns), width, work)) results.push(result);

          assert.deepEqual(results, turns);
          assert.ok(most <= width);
        },
      ),
    );
  });

  it('rejects with the first failure in order, after the results before it', async () => {
    const work = async (item: number) => {
      if (item > 1) throw new RangeError(String(item));
      return item;
    };
    const seen: number[] = [];

    await assert.rejects(
      async () => {
        for await (const result of inOrder(stream([0, 1, 2, 3]), 3, work)) seen.push(result);
      },
      { message: '2' },
    );

    assert.deepEqual(seen, [0, 1]);
  });
});
