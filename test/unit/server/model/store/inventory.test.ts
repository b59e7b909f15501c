import assert from 'node:assert/strict';
import { existsSync, linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import {
  bytesIn,
  evictedPath,
  idOf,
  isInUse,
  lockOf,
  newHold,
  pathOf,
  takeStock,
} from '../../../../../server/model/store/inventory.ts';
import { Watch } from '../../../../../server/model/store/pulse.ts';
import { FakeClock } from '../../../../support/clock.ts';
import { beatBy, neverAborted, staleMs } from '../../../../support/store-kit.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

function world() {
  const folder = temporaryFolder();
  const { path: dir } = folder;
  const clock = new FakeClock();
  const watch = new Watch({ clock, staleMs, beat: beatBy(clock, staleMs) });
  const write = (name: string, bytes: number) => {
    const file = path.join(dir, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, Buffer.alloc(bytes));
    return file;
  };
  return {
    ...folder,
    dir,
    watch,
    write,
    used: (name: string, at: number) => utimesSync(path.join(dir, name), at, at),
    stock: () => takeStock(dir, watch),
    converted: (key: string, bytes: number) => write(`converted/${key}.safetensors`, bytes),
    waitLong: async () => {
      const waited = watch.waitForSigns(neverAborted).then(() => true);
      while (!(await Promise.race([waited, clock.step(500).then(() => false)]))) continue;
    },
  };
}

describe('bytesIn', () => {
  it('sums up the entries of both kinds, and nothing that is on its way in or out', async () => {
    using test = world();
    test.converted('a', 10);
    test.write('hub/models--x--y/blobs/1', 5);
    test.write('converted/evicted~1', 100);
    test.write('locks/converted~b.safetensors/token', 100);

    assert.equal(await bytesIn(test.dir), 15);
    assert.equal(await bytesIn(path.join(test.dir, 'no')), 0);
  });
});

describe('takeStock', () => {
  it('finds nothing in a folder that does not exist', async () => {
    using test = world();

    assert.deepEqual(await takeStock(path.join(test.dir, 'no'), test.watch), []);
  });

  it('lists both kinds, least recently used first, and the original before its conversion', async () => {
    using test = world();
    test.converted('young', 1);
    test.converted('same', 1);
    test.write('hub/models--a--same/blobs/x', 1);
    test.write('hub/models--a--old/blobs/x', 1);
    test.used('converted/young.safetensors', 300);
    test.used('converted/same.safetensors', 200);
    test.used('hub/models--a--same', 200);
    test.used('hub/models--a--old', 100);

    const ids = (await test.stock()).map(({ id }) => id);

    assert.deepEqual(ids, [
      'hub~models--a--old',
      'hub~models--a--same',
      'converted~same.safetensors',
      'converted~young.safetensors',
    ]);
  });

  it('counts every byte of a checkpoint once, whatever leads to it', async () => {
    using test = world();
    const blob = test.write('hub/models--a--b/blobs/x', 1000);
    test.write('hub/models--a--b/refs/main', 40);
    const snapshot = path.join(test.dir, 'hub/models--a--b/snapshots/c');
    mkdirSync(snapshot, { recursive: true });
    symlinkSync('../../blobs/x', path.join(snapshot, 'link'));
    symlinkSync('../../nowhere', path.join(snapshot, 'broken'));
    symlinkSync('..', path.join(snapshot, 'loop'));
    linkSync(blob, path.join(snapshot, 'second-name'));

    const [entry] = await test.stock();

    assert.equal(entry?.bytes, 1040);
  });

  it('leaves alone what is no entry', async () => {
    using test = world();
    test.write('converted/README', 1);
    test.write('hub/version.txt', 1);
    test.write('hub/.locks/models--a--b/x.lock', 1);
    test.write('digests/x.json', 1);

    assert.deepEqual(await test.stock(), []);
  });

  it('removes what was half deleted', async () => {
    using test = world();
    const id = 'hub~models--a--b';
    const evicted = evictedPath(test.dir, id);
    test.write(path.join(path.relative(test.dir, evicted), 'blobs/x'), 5);

    assert.deepEqual(await test.stock(), []);
    assert.equal(existsSync(evicted), false);
  });

  it('counts what was granted to a writer, and does not offer its entry', async () => {
    using test = world();
    test.write('hub/models--a--b/blobs/x', 10);
    test.write('locks/hub~models--a--b/token', 100);
    test.write('locks/converted~k.safetensors/token', 7);
    test.write('locks/room/token', 1000);

    const stock = await test.stock();

    const seen = stock.map(({ id, bytes, isEvictable }) => ({ id, bytes, isEvictable }));
    assert.deepEqual(
      seen.sort((a, b) => a.bytes - b.bytes),
      [
        { id: 'converted~k.safetensors', bytes: 7, isEvictable: false },
        { id: 'hub~models--a--b', bytes: 100, isEvictable: false },
      ],
    );
  });

  it('offers what is held as soon as it is sure that the holder is dead', async () => {
    using test = world();
    test.converted('k', 5);
    test.used('converted/k.safetensors', 100);
    const hold = newHold(test.dir, 'converted~k.safetensors');
    test.write(path.relative(test.dir, hold), 0);
    utimesSync(hold, 200, 200);

    const [before] = await test.stock();
    await test.waitLong();
    const [after] = await test.stock();

    assert.deepEqual([before?.isEvictable, before?.mayBecomeEvictable], [false, true]);
    assert.equal(after?.isEvictable, true);
    assert.equal(await isInUse(test.dir, 'converted~k.safetensors'), false);
  });

  it('takes the last sign of a dead holder for the last use', async () => {
    using test = world();
    test.converted('k', 5);
    test.used('converted/k.safetensors', 100);
    const hold = newHold(test.dir, 'converted~k.safetensors');
    test.write(path.relative(test.dir, hold), 0);
    utimesSync(hold, 200, 200);
    await test.stock();
    await test.waitLong();
    await test.stock();

    const [entry] = await test.stock();

    assert.equal(entry?.lastUsedMs, 200_000);
  });

  it('knows who lives', async () => {
    using test = world();
    test.converted('k', 5);
    const hold = newHold(test.dir, 'converted~k.safetensors');
    test.write(path.relative(test.dir, hold), 0);
    await test.stock();
    utimesSync(hold, 7, 7);

    const [entry] = await test.stock();

    assert.deepEqual([entry?.isEvictable, entry?.mayBecomeEvictable], [false, false]);
  });

  it('removes what dead writers wrote, and locks that they were about to take', async () => {
    using test = world();
    test.write('locks/converted~k.safetensors/token', 50);
    test.write('locks/attempt-1/token', 0);
    await test.stock();
    await test.waitLong();
    await test.stock();

    const lock = lockOf(test.dir, 'converted~k.safetensors');
    const left = [lock, path.join(test.dir, 'locks/attempt-1')];
    assert.deepEqual(
      left.map((file) => existsSync(file)),
      [false, false],
    );
  });
});

describe('the name of an entry', () => {
  it('is that of the folder or file that a path leads into', () => {
    const id = idOf('/cache', '/cache/hub/models--a--b/snapshots/c/x.safetensors');

    assert.equal(id, 'hub~models--a--b');
    assert.equal(pathOf('/cache', id), '/cache/hub/models--a--b');
  });

  for (const file of ['/other/x', '/cache', '/cache/digests/x.json', '/cache/hub/version.txt']) {
    it(`is refused for ${file}`, () => {
      assert.throws(() => idOf('/cache', file), { code: 'INTERNAL' });
    });
  }

  it('does not confuse an entry with another whose name begins alike', async () => {
    using test = world();
    test.write(path.relative(test.dir, newHold(test.dir, 'hub~models--a--b-c')), 0);

    assert.equal(await isInUse(test.dir, 'hub~models--a--b'), false);
    assert.equal(await isInUse(test.dir, 'hub~models--a--b-c'), true);
  });
});
