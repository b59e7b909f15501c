import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { type FileRequest, Store } from '../../../../../server/model/store/store.ts';
import { FakeClock } from '../../../../support/clock.ts';
import {
  letters,
  neverAborted,
  noSpace,
  put,
  putHalf,
  SharedVolume,
  staleMs,
} from '../../../../support/store-kit.ts';

/** The folders in which something is left while, or after, a file is made. */
const traces = (volume: SharedVolume) => [volume.list('locks'), volume.list('holds')];

describe('Store.obtain', () => {
  it('makes a file once and finds it then', async () => {
    await using volume = new SharedVolume();
    const { store } = volume.machine();
    const { request, made, content } = letters('a', 10);

    const first = await volume.drive(store.obtain('a', request, neverAborted));
    const second = await store.obtain('a', request, neverAborted);

    const file = volume.file('converted', 'a.safetensors');
    assert.deepEqual(
      [first, second],
      [
        { file, isNew: true },
        { file, isNew: false },
      ],
    );
    assert.deepEqual([made.times, readFileSync(file, 'utf8')], [1, content]);
    assert.deepEqual(traces(volume), [[], []]);
  });

  it('makes a file once when many ask together', async () => {
    await using volume = new SharedVolume();
    const { request, made } = letters('a', 10);
    const asked = Array.from({ length: 6 }, () =>
      volume.machine().store.obtain('a', request, neverAborted),
    );

    const results = await volume.drive(Promise.all(asked));

    assert.equal(made.times, 1);
    assert.equal(results.filter(({ isNew }) => isNew).length, 1);
    assert.deepEqual(traces(volume), [[], []]);
  });

  it('makes different files at the same time', async () => {
    await using volume = new SharedVolume();
    await putHalf(volume, volume.machine(), 'a', 10);

    const { isNew } = await put(volume, volume.machine(), 'b', 10);

    assert.equal(isNew, true);
  });

  it('makes a file again that is not whole', async () => {
    await using volume = new SharedVolume();
    const machine = volume.machine();
    mkdirSync(volume.file('converted'));
    writeFileSync(machine.store.fileOf('a'), 'half');

    const { isNew, file } = await put(volume, machine, 'a', 10);

    assert.deepEqual([isNew, readFileSync(file, 'utf8')], [true, 'aaaaaaaaaa']);
  });

  it('shows nothing of a file before it is whole, nor after its maker died', async () => {
    await using volume = new SharedVolume();
    const machine = volume.machine();

    await putHalf(volume, machine, 'a', 10);
    assert.deepEqual(volume.list('converted'), []);
    volume.kill(machine);

    const { isNew, file } = await put(volume, volume.machine(), 'a', 10);
    assert.deepEqual([isNew, readFileSync(file, 'utf8')], [true, 'aaaaaaaaaa']);
    assert.deepEqual(volume.list('locks'), []);
  });

  it('leaves nothing when making fails, and passes the error on', async () => {
    await using volume = new SharedVolume();
    const { store } = volume.machine();
    const error = new Error('no luck');
    const request = { ...letters('a', 10).request, make: () => Promise.reject(error) };

    await assert.rejects(volume.drive(store.obtain('a', request, neverAborted)), error);

    assert.deepEqual([volume.list('converted'), ...traces(volume)], [[], [], []]);
  });

  it('leaves nothing when it is given up, and hands the signal to the maker', async () => {
    await using volume = new SharedVolume();
    const { store } = volume.machine();
    const reason = new Error('given up');
    const client = new AbortController();
    const make: FileRequest['make'] = async (_file, signal) => {
      client.abort(reason);
      signal.throwIfAborted();
    };
    const request = { ...letters('a', 10).request, make };

    await assert.rejects(volume.drive(store.obtain('a', request, client.signal)), reason);

    assert.deepEqual([volume.list('converted'), ...traces(volume)], [[], [], []]);
  });

  it('is another use of the file', async () => {
    await using volume = new SharedVolume({ budgetBytes: 20 });
    const machine = volume.machine();
    await put(volume, machine, 'a', 10);
    await volume.step(1);
    await put(volume, machine, 'b', 10);
    await volume.step(1);
    await put(volume, machine, 'a', 10);

    await put(volume, machine, 'c', 10);

    assert.deepEqual(volume.list('converted'), ['a.safetensors', 'c.safetensors']);
  });

  it('evicts and tries once more when the volume turns out to be full', async () => {
    await using volume = new SharedVolume();
    const machine = volume.machine();
    await put(volume, machine, 'a', 10_000);
    const { request } = letters('b', 10);
    let tries = 0;
    const make: FileRequest['make'] = async (file, signal) => {
      if (++tries === 1) throw noSpace();
      await request.make(file, signal);
    };

    const { isNew } = await volume.drive(
      machine.store.obtain('b', { ...request, make }, neverAborted),
    );

    assert.deepEqual([isNew, tries], [true, 2]);
    assert.deepEqual(volume.list('converted'), ['b.safetensors']);
  });

  it('says DISK_FULL with what to do when the volume stays full', async () => {
    await using volume = new SharedVolume();
    const machine = volume.machine();
    await put(volume, machine, 'a', 10_000);
    let tries = 0;
    const make = () => {
      tries += 1;
      return Promise.reject(noSpace());
    };
    const request = { ...letters('b', 10).request, make };

    const fails = volume.drive(machine.store.obtain('b', request, neverAborted));

    await assert.rejects(fails, { code: 'DISK_FULL', message: /takes 10 bytes.*enlarge/ });
    assert.equal(tries, 2);
    assert.deepEqual([volume.list('converted'), ...traces(volume)], [[], [], []]);
  });

  it('does not evict for nothing when there is not enough to evict', async () => {
    await using volume = new SharedVolume();
    const machine = volume.machine();
    await put(volume, machine, 'a', 10);
    const make = () => Promise.reject(noSpace());
    const request = { ...letters('b', 50_000).request, make };

    const fails = volume.drive(machine.store.obtain('b', request, neverAborted));

    await assert.rejects(fails, { code: 'DISK_FULL' });
    assert.deepEqual(volume.list('converted'), ['a.safetensors']);
  });

  it('says DISK_FULL at once for what is larger than the budget, and makes nothing', async () => {
    await using volume = new SharedVolume({ budgetBytes: 9 });
    const { store } = volume.machine();
    const { request, made } = letters('a', 10);

    const fails = store.obtain('a', request, neverAborted);

    await assert.rejects(fails, { code: 'DISK_FULL', message: /never fit/ });
    assert.equal(made.times, 0);
  });

  it('finds a file on a full volume', async () => {
    let freeBytes = 1e6;
    const volumeFacts = () => Promise.resolve({ totalBytes: 1e6, freeBytes });
    await using volume = new SharedVolume({ volume: volumeFacts });
    const machine = volume.machine();
    await put(volume, machine, 'a', 10);
    freeBytes = 0;

    assert.equal((await put(volume, machine, 'a', 10)).isNew, false);
  });

  it('says CONFIGURATION_INVALID when the cache folder is none', async () => {
    await using volume = new SharedVolume();
    writeFileSync(volume.file('x'), '');
    const store = new Store({ dir: volume.file('x'), clock: new FakeClock() });
    const request = { ...letters('a', 10).request, isWhole: () => Promise.resolve(false) };

    await assert.rejects(store.obtain('a', request, neverAborted), {
      code: 'CONFIGURATION_INVALID',
    });
    await assert.rejects(store.hold(store.fileOf('a')), { code: 'CONFIGURATION_INVALID' });
  });
});

describe('Store.fill', () => {
  const folderOf = (volume: SharedVolume, name: string) => volume.file('hub', `models--${name}`);

  it('lets one write into a folder at a time, with room for all of it', async () => {
    await using volume = new SharedVolume({ budgetBytes: 100 });
    const machine = volume.machine();
    await put(volume, machine, 'a', 60);
    const folder = folderOf(volume, 'o--n');
    let inside = 0;
    const write = async () => {
      assert.equal(++inside, 1, 'two write at a time');
      await volume.step(1);
      mkdirSync(path.join(folder, 'blobs'), { recursive: true });
      writeFileSync(path.join(folder, 'blobs/x'), Buffer.alloc(50));
      inside -= 1;
    };

    const fill = () => machine.store.fill(folder, { bytes: 50, write }, neverAborted);
    await volume.drive(Promise.all([fill(), fill(), fill()]));

    assert.deepEqual([volume.list('converted'), volume.list('hub')], [[], ['models--o--n']]);
    assert.deepEqual(volume.list('locks'), []);
  });

  it('keeps what was written when writing fails, and does not count it twice', async () => {
    await using volume = new SharedVolume({ budgetBytes: 100 });
    const { store } = volume.machine();
    const folder = folderOf(volume, 'o--n');
    const half = async () => {
      mkdirSync(folder);
      writeFileSync(path.join(folder, 'half'), Buffer.alloc(60));
      throw new Error('gone');
    };
    const fails = volume.drive(store.fill(folder, { bytes: 100, write: half }, neverAborted));
    await assert.rejects(fails, /gone/);

    const goOn = async () => assert.equal(existsSync(path.join(folder, 'half')), true);
    await volume.drive(store.fill(folder, { bytes: 100, write: goOn }, neverAborted));
  });

  it('evicts a folder as a whole, before a file that was used later', async () => {
    await using volume = new SharedVolume({ budgetBytes: 100 });
    const machine = volume.machine();
    const folder = folderOf(volume, 'o--n');
    const write = async () => {
      mkdirSync(path.join(folder, 'blobs'), { recursive: true });
      for (const name of ['x', 'y']) {
        writeFileSync(path.join(folder, 'blobs', name), Buffer.alloc(25));
      }
    };
    await volume.drive(machine.store.fill(folder, { bytes: 50, write }, neverAborted));
    await put(volume, machine, 'a', 50);

    await put(volume, machine, 'b', 50);

    assert.deepEqual(volume.list('hub'), []);
    assert.deepEqual(volume.list('converted'), ['a.safetensors', 'b.safetensors']);
  });

  it('says DISK_FULL at once for what can never fit', async () => {
    await using volume = new SharedVolume({ budgetBytes: 100 });
    const { store } = volume.machine();
    const write = () => Promise.reject(new Error('not reached'));

    const fails = store.fill(folderOf(volume, 'o--n'), { bytes: 101, write }, neverAborted);

    await assert.rejects(fails, { code: 'DISK_FULL' });
  });
});

describe('Store.hold', () => {
  it('keeps an entry from eviction until it is disposed', async () => {
    await using volume = new SharedVolume({ budgetBytes: 20 });
    const machine = volume.machine();
    const { store } = machine;
    for (const key of ['a', 'b']) {
      await put(volume, machine, key, 10);
      await volume.step(1);
    }
    const hold = await store.hold(store.fileOf('a'));
    await put(volume, machine, 'c', 10);
    assert.deepEqual(volume.list('converted'), ['a.safetensors', 'c.safetensors']);

    await volume.step(1);
    await volume.drive(Promise.resolve(hold[Symbol.asyncDispose]()));
    await volume.step(1);
    await put(volume, machine, 'd', 10);

    assert.deepEqual(volume.list('converted'), ['a.safetensors', 'd.safetensors']);
    assert.deepEqual(volume.list('holds'), []);
    assert.equal(machine.clock.pending, 0);
  });

  it('keeps an entry that is not there yet, for as long as the holder lives', async () => {
    await using volume = new SharedVolume({ budgetBytes: 20 });
    const [holder, other] = [volume.machine(), volume.machine(5)];
    const hold = await holder.store.hold(holder.store.fileOf('a'));
    await put(volume, holder, 'a', 15);
    await volume.pass(3 * staleMs);

    await assert.rejects(put(volume, other, 'b', 15), { code: 'DISK_FULL' });
    volume.kill(holder);
    await put(volume, other, 'b', 15);

    assert.deepEqual(volume.list('converted'), ['b.safetensors']);
    volume.begin(Promise.resolve(hold[Symbol.asyncDispose]()));
  });

  it('is made anew when others cleared it away', async () => {
    await using volume = new SharedVolume();
    const { store } = volume.machine();
    await using _hold = await store.hold(store.fileOf('a'));
    for (const name of volume.list('holds')) rmSync(volume.file('holds', name));

    await volume.pass(staleMs);

    assert.equal(volume.list('holds').length, 1);
  });

  it('may be taken several times', async () => {
    await using volume = new SharedVolume();
    const { store } = volume.machine();
    const first = await store.hold(store.fileOf('a'));
    await using _second = await store.hold(store.fileOf('a'));

    await first[Symbol.asyncDispose]();

    assert.equal(volume.list('holds').length, 1);
  });

  it('refuses what does not lie in the cache', async () => {
    await using volume = new SharedVolume();

    await assert.rejects(volume.machine().store.hold('/etc/passwd'), { code: 'INTERNAL' });
  });
});

describe('Store.tidy', () => {
  it('removes what the dead left, and nothing of the living', async () => {
    await using volume = new SharedVolume();
    const [dead, living, tidying] = [volume.machine(), volume.machine(), volume.machine()];
    await putHalf(volume, dead, 'a', 10);
    await putHalf(volume, living, 'b', 10);
    await put(volume, living, 'c', 10);
    const deadHold = await dead.store.hold(dead.store.fileOf('c'));
    await using _hold = await living.store.hold(living.store.fileOf('c'));
    utimesSync(volume.file('locks'), 1, 1);
    volume.kill(dead);

    await volume.drive(tidying.store.tidy(neverAborted));

    assert.deepEqual(volume.list('locks'), ['converted~b.safetensors']);
    assert.equal(volume.list('holds').length, 1);
    assert.deepEqual(volume.list('converted'), ['c.safetensors']);
    volume.begin(Promise.resolve(deadHold[Symbol.asyncDispose]()));
  });
});
