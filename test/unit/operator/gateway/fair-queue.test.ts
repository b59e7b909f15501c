import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FairQueue } from '../../../../operator/gateway/fair-queue.ts';

interface Item {
  id: string;
  caller: string;
  bytes: number;
}
const limits = { maxRequests: 4, maxBytes: 100 };

/** "a1 a2 b1": the letter is the caller; of ten bytes each, or as many as stand behind a colon. */
const items = (text: string): Item[] =>
  text.split(' ').map((word) => {
    const [id = '', bytes = '10'] = word.split(':');
    return { id, caller: id.charAt(0), bytes: Number(bytes) };
  });
const queueOf = (text: string): FairQueue<Item> => {
  const queue = new FairQueue<Item>();
  for (const item of items(text)) queue.add(item);
  return queue;
};
const served = (queue: FairQueue<Item>): string[] => {
  const order: string[] = [];
  for (let next = queue.next; next; next = queue.next) {
    order.push(next.id);
    queue.serve(next);
  }
  return order;
};

describe('FairQueue', () => {
  it('lets callers take turns, each in the order of its arrivals', () => {
    assert.deepEqual(served(queueOf('a1 a2 a3 b1 c1 b2')), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('tells who waits and with how many, whose turn is first', () => {
    const queue = queueOf('a1 a2 b1');
    if (queue.next) queue.serve(queue.next);

    assert.deepEqual(queue.callers, [
      { caller: 'b', requests: 1 },
      { caller: 'a', requests: 1 },
    ]);
  });

  it('leaves the turns as they are when a waiter leaves by itself', () => {
    const queue = new FairQueue<Item>();
    const [a1, ...rest] = items('a1 a2 b1');
    for (const item of [a1, ...rest]) if (item) queue.add(item);

    assert.equal(a1 && queue.remove(a1), true);
    assert.equal(a1 && queue.remove(a1), false);
    assert.deepEqual(served(queue), ['a2', 'b1']);
  });

  const table: { name: string; has: string; comes: string; leave: string[] | undefined }[] = [
    { name: 'has room: nobody leaves', has: 'a1 a2 a3', comes: 'a4', leave: [] },
    {
      name: 'full of one caller: its own next finds no room',
      has: 'a1 a2 a3 a4',
      comes: 'a5',
      leave: undefined,
    },
    {
      name: 'full of one caller: its newest leaves for another',
      has: 'a1 a2 a3 a4',
      comes: 'b1',
      leave: ['a4'],
    },
    {
      name: 'three and one: the one may have a second',
      has: 'a1 a2 a3 b1',
      comes: 'b2',
      leave: ['a3'],
    },
    {
      name: 'two and two: nobody may have a third',
      has: 'a1 a2 b1 b2',
      comes: 'b3',
      leave: undefined,
    },
    {
      name: 'bytes count like requests',
      has: 'a1:45 a2:45',
      comes: 'b1:30',
      leave: ['a2'],
    },
    {
      name: 'as many leave as it takes',
      has: 'a1:30 a2:30 a3:40',
      comes: 'b1:30',
      leave: ['a3'],
    },
    {
      name: 'a newcomer that is larger than what it would push out finds no room',
      has: 'a1:50 b1:40',
      comes: 'c1:60',
      leave: undefined,
    },
    { name: 'larger than all of it: no room', has: 'a1', comes: 'b1:101', leave: undefined },
  ];
  for (const { name, has, comes, leave } of table) {
    it(name, () => {
      const [newcomer] = items(comes);
      const leaving = newcomer && queueOf(has).makeRoom(newcomer, limits);

      assert.deepEqual(
        leaving?.map(({ id }) => id),
        leave,
      );
    });
  }
});
