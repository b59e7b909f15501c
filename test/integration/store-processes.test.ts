// The store between real processes, killed at any moment, and on volumes that are really full.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../common/clock.ts';
import { isErrno } from '../../server/model/disk.ts';
import { Store } from '../../server/model/store/store.ts';
import { eventually } from '../support/eventually.ts';
import { contentOf, isWhole, StoreChild } from '../support/store-parent.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const neverAborted = new AbortController().signal;
const hour = 3_600_000;

function world() {
  const folder = temporaryFolder();
  const dir = path.join(folder.path, 'cache');
  const log = path.join(folder.path, 'made');
  writeFileSync(log, '');
  const list = (...names: string[]) => {
    const listed = path.join(dir, ...names);
    return existsSync(listed) ? readdirSync(listed) : [];
  };
  return {
    ...folder,
    dir,
    list,
    start: (staleMs: number, skewMs = 0) => StoreChild.start({ dir, log, staleMs, skewMs }),
    made: () => readFileSync(log, 'utf8').split('\n').filter(Boolean),
  };
}

describe('a store between processes', () => {
  it('makes a file once for five that start together', async () => {
    using test = world();
    const children = await Promise.all([1, 2, 3, 4, 5].map(() => test.start(15_000)));
    const order = { key: 'a', bytes: 3_000_000, parts: 10, partMs: 20 };

    const results = await Promise.all(children.map((child) => child.obtain(order)));

    assert.deepEqual(test.made(), ['a']);
    assert.equal(results.filter(({ isNew }) => isNew).length, 1);
    for (const { file } of results) assert.equal(await isWhole(file, 'a', order.bytes), true);
    assert.deepEqual([test.list('locks'), test.list('converted')], [[], ['a.safetensors']]);
    await Promise.all(children.map((child) => child[Symbol.asyncDispose]()));
  });

  it('never shows half a file, and always gets to the end, when makers are killed at any moment', async () => {
    using test = world();
    const [rounds, bytes] = [20, 400_000];
    await using survivor = await test.start(400);
    let next = test.start(400);

    for (let round = 0; round < rounds; round++) {
      const victim = await next;
      next = test.start(400); // while this round runs
      const order = { key: `k${round}`, bytes, parts: 8, partMs: 4 };
      victim.send(order);
      await systemClock.delay(Math.random() * 60, neverAborted);
      const [{ file }] = await Promise.all([survivor.obtain(order), victim.kill()]);

      assert.equal(await isWhole(file, order.key, bytes), true, `the file of round ${round}`);
    }
    await (await next).kill();

    for (const name of test.list('converted')) {
      const file = path.join(test.dir, 'converted', name);
      assert.equal(await isWhole(file, path.basename(name, '.safetensors'), bytes), true, name);
    }
    assert.equal(test.list('converted').length, rounds);
    const store = new Store({ dir: test.dir, clock: systemClock, staleMs: 400 });
    await store.tidy(neverAborted);
    assert.deepEqual(test.list('locks'), []);
  });

  it('leaves the lock to a slow maker whose clock is hours off, and takes it over when that is killed', async () => {
    using test = world();
    const isMade = (key: string) =>
      eventually(() => assert.ok(test.made().includes(key), `${key} is not begun`));
    const check = async (skewMs: number) => {
      await using maker = await test.start(1500, skewMs);
      await using waiter = await test.start(1500);
      const order = { key: `slow${skewMs}`, bytes: 1000, parts: 10, partMs: 400 };
      maker.send(order);
      await isMade(order.key);

      const found = await waiter.obtain(order);
      const times = test.made().filter((key) => key === order.key).length;
      assert.deepEqual([found.isNew, times], [false, 1]);

      const other = { ...order, key: `killed${skewMs}` };
      maker.send(other);
      await isMade(other.key);
      const [taken] = await Promise.all([waiter.obtain(other), maker.kill()]);
      assert.equal(taken.isNew, true);
      assert.equal(await isWhole(taken.file, other.key, other.bytes), true);
    };

    await Promise.all([check(-5 * hour), check(5 * hour)]);
  });
});

describe('a store on a full volume', () => {
  const kb = 1000;
  const filesystems = {
    tmpfs: (at: string) => execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at]),
    ext4: (at: string) => {
      const image = `${at}.img`;
      execFileSync('truncate', ['-s', '2M', image]);
      execFileSync('mkfs.ext4', ['-q', image]);
      execFileSync('mount', ['-o', 'loop', image, at]);
    },
  };

  for (const [name, mount] of Object.entries(filesystems)) {
    const volume = (t: TestContext) => {
      const folder = temporaryFolder();
      const dir = path.join(folder.path, 'cache');
      mkdirSync(dir);
      try {
        mount(dir);
      } catch (err: unknown) {
        folder[Symbol.dispose]();
        t.skip(`no ${name} can be mounted here: ${String(err).split('\n')[0]}`);
        return undefined;
      }
      const store = new Store({ dir, clock: systemClock, staleMs: 2000 });
      return {
        dir,
        store,
        obtain: (key: string, bytes: number) =>
          store.obtain(
            key,
            {
              bytes,
              isWhole: (file) => isWhole(file, key, bytes),
              make: async (file) => void (await file.write(contentOf(key, bytes), 0)),
            },
            neverAborted,
          ),
        /** Until not a byte more fits. */
        fill: async () => {
          const stranger = await open(path.join(dir, 'stranger'), 'w');
          for (let size = 1 << 16; size >= 1; ) {
            const isFull = await stranger.write(Buffer.alloc(size)).then(
              ({ bytesWritten }) => bytesWritten < size,
              (err: unknown) => isErrno(err, 'ENOSPC'),
            );
            if (isFull) size = Math.floor(size / 2);
          }
          await stranger.close();
        },
        list: () => readdirSync(path.join(dir, 'converted')).sort(),
        [Symbol.dispose]: () => {
          execFileSync('umount', [dir]);
          folder[Symbol.dispose]();
        },
      };
    };

    it(`evicts on ${name} what was not used for longest`, async (t) => {
      using test = volume(t);
      if (!test) return;
      for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await test.obtain(key, 200 * kb);

      assert.equal(test.list().includes('f.safetensors'), true);
      assert.equal(test.list().includes('a.safetensors'), false);
      const { file } = await test.obtain('f', 200 * kb);
      assert.equal(await isWhole(file, 'f', 200 * kb), true);
    });

    it(`makes room on ${name} when others have filled it`, async (t) => {
      using test = volume(t);
      if (!test) return;
      for (const key of ['a', 'b']) await test.obtain(key, 200 * kb);
      await test.fill();

      const { isNew, file } = await test.obtain('c', 100 * kb);

      assert.equal(isNew, true);
      assert.equal(await isWhole(file, 'c', 100 * kb), true);
    });

    it(`says DISK_FULL on ${name} and loses nothing when all is held`, async (t) => {
      using test = volume(t);
      if (!test) return;
      await using _hold = await test.store.hold(test.store.fileOf('a'));
      await test.obtain('a', 200 * kb);
      await test.fill();

      await assert.rejects(test.obtain('b', 100 * kb), { code: 'DISK_FULL', message: /enlarge/ });

      assert.deepEqual(test.list(), ['a.safetensors']);
      assert.equal((await test.obtain('a', 200 * kb)).isNew, false);
    });
  }
});
