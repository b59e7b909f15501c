import assert from 'node:assert/strict';
import { mkdirSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { lockOf, newHold, pathOf } from '../../../../../server/model/store/inventory.ts';
import { Room, type RoomOptions } from '../../../../../server/model/store/room.ts';
import { neverAborted, SharedVolume } from '../../../../support/store-kit.ts';

const idOfKey = (key: string) => `converted~${key}.safetensors`;
const entry = 'new';

/** Room for a file `new` among others that were used in the order in which they are put. */
function world(volume: SharedVolume, options: Omit<RoomOptions, 'dir'> = {}) {
  const { pulse, gone } = volume.machine();
  const room = new Room({ dir: volume.dir, ...options }, pulse);
  const write = (file: string, bytes: number, at: number) => {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, Buffer.alloc(bytes));
    utimesSync(file, at, at);
  };
  const mark = path.join(lockOf(volume.dir, idOfKey(entry)), 'token');
  write(mark, 0, 1);
  volume.begin(pulse.beat(mark, gone.signal));
  let at = 0;
  return {
    room,
    mark,
    put: (key: string, bytes: number) => write(pathOf(volume.dir, idOfKey(key)), bytes, ++at),
    hold: (key: string) => write(newHold(volume.dir, idOfKey(key)), 0, 1),
    grant: (key: string, bytes: number) => {
      const other = path.join(lockOf(volume.dir, idOfKey(key)), 'other');
      write(other, 0, 1);
      truncateSync(other, bytes);
    },
    make: (bytes: number, isFull = false) =>
      volume.drive(room.make({ id: idOfKey(entry), mark, bytes, isFull }, neverAborted)),
    left: () => volume.list('converted').map((name) => path.basename(name, '.safetensors')),
  };
}

const volumeOf = (totalBytes: number, freeBytes: number) => ({
  volume: () => Promise.resolve({ totalBytes, freeBytes }),
});

describe('Room', () => {
  it('evicts the least recently used until the rest fits the budget, and no more', async () => {
    await using volume = new SharedVolume();
    const { put, make, left } = world(volume, { budgetBytes: 100 });
    for (const key of ['a', 'b', 'c', 'd']) put(key, 25);

    await make(30);

    assert.deepEqual(left(), ['c', 'd']);
  });

  it('evicts nothing when there is room', async () => {
    await using volume = new SharedVolume();
    const { put, make, left } = world(volume, { budgetBytes: 100 });
    put('a', 70);

    await make(30);

    assert.deepEqual(left(), ['a']);
  });

  it('grants what it made room for, so that others count it', async () => {
    await using volume = new SharedVolume();
    const { make } = world(volume, { budgetBytes: 100 });

    await make(30);

    assert.equal(volume.stat('locks', idOfKey(entry), 'token').size, 30);
  });

  it('evicts for the volume what the budget would allow, and keeps a part of it free', async () => {
    await using volume = new SharedVolume();
    const { put, make, left } = world(volume, { budgetBytes: 1000, ...volumeOf(1000, 75) });
    for (const key of ['a', 'b', 'c']) put(key, 10);

    await make(35);

    assert.deepEqual(left(), ['b', 'c']);
  });

  it('keeps a GiB free of a large volume', async () => {
    await using volume = new SharedVolume();
    const { room } = world(volume, volumeOf(2 ** 40, 2 ** 40));

    await room.assertCanFit('converted~x', 2 ** 40 - 2 ** 30);
    await assert.rejects(room.assertCanFit('converted~x', 2 ** 40 - 2 ** 30 + 1), {
      code: 'DISK_FULL',
    });
  });

  it('leaves room on the volume that was granted and is not written yet', async () => {
    await using volume = new SharedVolume();
    const { put, grant, make, left } = world(volume, volumeOf(1000, 100));
    put('a', 50);
    grant('other', 45);

    await make(5);
    assert.deepEqual(left(), ['a']);
    await make(6);
    assert.deepEqual(left(), []);
  });

  it('never evicts what is held or written', async () => {
    await using volume = new SharedVolume();
    const { put, hold, grant, make, left } = world(volume, { budgetBytes: 100 });
    for (const key of ['a', 'b', 'c', 'd']) put(key, 25);
    hold('a');
    grant('b', 25);

    await make(50);

    assert.deepEqual(left(), ['a', 'b']);
  });

  it('says at once what can never fit, with the numbers and the remedy, and loses nothing', async () => {
    await using volume = new SharedVolume();
    const { room, put, left } = world(volume, { budgetBytes: 100, ...volumeOf(1000, 500) });
    put('a', 25);

    await assert.rejects(room.assertCanFit(idOfKey(entry), 101), {
      code: 'DISK_FULL',
      message:
        /new\.safetensors: it takes 101 bytes.*1000 are 500 free.*budget is 100.*never fit: enlarge/,
    });

    await room.assertCanFit(idOfKey(entry), 100);
    assert.deepEqual(left(), ['a']);
  });

  it('says DISK_FULL and evicts nothing when what lives leaves too little', async () => {
    await using volume = new SharedVolume();
    const { put, make, left } = world(volume, { budgetBytes: 100 });
    for (const key of ['a', 'b']) put(key, 50);
    await using _held = await volume.machine().store.hold(volume.file('converted/b.safetensors'));

    await assert.rejects(make(60), { code: 'DISK_FULL', message: /in use leaves too little/ });

    assert.deepEqual(left(), ['a', 'b']);
  });

  it('does not wait when even the death of all holders would not help', async () => {
    await using volume = new SharedVolume();
    const { room, put, hold, mark } = world(volume, volumeOf(1000, 100));
    put('a', 50);
    hold('a');

    const fails = room.make({ id: idOfKey(entry), mark, bytes: 500 }, neverAborted);

    await assert.rejects(fails, { code: 'DISK_FULL' }); // nobody moves the time
  });

  it('waits out a dead holder and a dead writer', async () => {
    await using volume = new SharedVolume();
    const { put, hold, grant, make, left } = world(volume, { budgetBytes: 100 });
    put('a', 50);
    hold('a');
    grant('b', 40);

    await make(70);

    assert.deepEqual(left(), []);
    assert.deepEqual([volume.list('holds'), volume.list('locks')], [[], [idOfKey(entry)]]);
  });

  it('puts back what someone began to hold as it was evicted', async () => {
    await using volume = new SharedVolume();
    let calls = 0;
    const test = world(volume, {
      budgetBytes: 100,
      volume: () => {
        if (++calls === 1) test.hold('a'); // after the stock was taken
        return Promise.resolve({ totalBytes: 1e9, freeBytes: 1e9 });
      },
    });
    for (const key of ['a', 'b']) test.put(key, 50);

    await test.make(50);

    assert.deepEqual(test.left(), ['a']);
  });

  it('tells of each entry that it evicted, and of none that it put back', async () => {
    await using volume = new SharedVolume();
    const told: number[] = [];
    let calls = 0;
    const test = world(volume, {
      budgetBytes: 100,
      onEvicted: (bytes) => told.push(bytes),
      volume: () => {
        if (++calls === 1) test.hold('a'); // after the stock was taken
        return Promise.resolve({ totalBytes: 1e9, freeBytes: 1e9 });
      },
    });
    test.put('a', 50);
    test.put('b', 40);

    await test.make(50);

    assert.deepEqual(told, [40]);
  });

  it('evicts for what was not written yet when the volume turned out to be full', async () => {
    await using volume = new SharedVolume();
    const { put, make, left, mark } = world(volume, volumeOf(1e9, 9e8));
    for (const key of ['a', 'b', 'c']) put(key, 5000);
    writeFileSync(mark, Buffer.alloc(4096)); // takes one block

    await make(4096 + 6000, true);

    assert.deepEqual(left(), ['c']);
  });

  it('takes turns: two that look at once do not both get the last room', async () => {
    await using volume = new SharedVolume();
    const { room, mark } = world(volume, { budgetBytes: 100 });
    const second = path.join(lockOf(volume.dir, idOfKey('second')), 'token');
    mkdirSync(path.dirname(second));
    writeFileSync(second, '');
    const { pulse, gone } = volume.machine();
    volume.begin(pulse.beat(second, gone.signal));
    const both = [
      room.make({ id: idOfKey(entry), mark, bytes: 60 }, neverAborted),
      room.make({ id: idOfKey('second'), mark: second, bytes: 60 }, neverAborted),
    ];

    const results = await volume.drive(Promise.allSettled(both));

    assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  });

  it('evicts one without a lock for who cannot make one, as long as there is one', async () => {
    await using volume = new SharedVolume();
    const { room, put, hold, left } = world(volume);
    for (const key of ['a', 'b', 'c']) put(key, 5);
    hold('a');

    const done = [await room.evictOldest(), await room.evictOldest(), await room.evictOldest()];

    assert.deepEqual(done, [true, true, false]);
    assert.deepEqual(left(), ['a']);
  });
});
