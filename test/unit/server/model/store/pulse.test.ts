import assert from 'node:assert/strict';
import { renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { isThere, Watch } from '../../../../../server/model/store/pulse.ts';
import { FakeClock } from '../../../../support/clock.ts';
import { beatBy, neverAborted, staleMs } from '../../../../support/store-kit.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

function world() {
  const folder = temporaryFolder();
  const file = path.join(folder.path, 'mark');
  writeFileSync(file, '');
  const clock = new FakeClock();
  const watch = new Watch({ clock, staleMs, beat: beatBy(clock, staleMs) });
  const waitLong = async () => {
    const waited = watch.waitForSigns(neverAborted).then(() => true);
    while (!(await Promise.race([waited, clock.step(staleMs / 30).then(() => false)]))) continue;
  };
  return { ...folder, file, clock, watch, waitLong };
}

describe('Watch', () => {
  it('knows nothing at first, and takes for dead who gave no sign for long', async () => {
    using test = world();

    assert.equal(await test.watch.look(test.file), 'Unknown');
    await test.waitLong();
    assert.equal(await test.watch.look(test.file), 'Dead');
  });

  it('takes for alive who gave a sign, until there is none for long', async () => {
    using test = world();
    await test.watch.look(test.file);
    utimesSync(test.file, 1, 1);

    assert.equal(await test.watch.look(test.file), 'Alive');
    assert.equal(await test.watch.look(test.file), 'Alive');
    await test.waitLong();
    assert.equal(await test.watch.look(test.file), 'Dead');
  });

  for (const [name, year] of [
    ['behind', 1980],
    ['ahead', 2080],
  ] as const) {
    it(`does not mind an owner whose clock is years ${name}`, async () => {
      using test = world();
      const time = Date.UTC(year) / 1000;
      utimesSync(test.file, time, time);

      const first = await test.watch.look(test.file);
      await test.waitLong();
      utimesSync(test.file, time + 3, time + 3);

      assert.deepEqual([first, await test.watch.look(test.file)], ['Unknown', 'Alive']);
    });
  }

  it('does not count time that it did not wait itself, as when the clock jumps', async () => {
    using test = world();
    await test.watch.look(test.file);

    await test.clock.step(10 * staleMs);

    assert.equal(await test.watch.look(test.file), 'Unknown');
  });

  it('takes the owner of a file that is gone for dead', async () => {
    using test = world();
    rmSync(test.file);

    assert.equal(await test.watch.look(test.file), 'Dead');
  });

  it('tells one file from another of the same name and time', async () => {
    using test = world();
    const { atime, mtime } = statSync(test.file);
    await test.watch.look(test.file);
    await test.waitLong();
    writeFileSync(`${test.file}.new`, '');
    utimesSync(`${test.file}.new`, atime, mtime);
    renameSync(`${test.file}.new`, test.file);

    assert.equal(await test.watch.look(test.file), 'Alive');
  });

  it('stops waiting when it is given up', async () => {
    using test = world();
    const reason = new Error('given up');

    await assert.rejects(test.watch.wait(AbortSignal.abort(reason)), reason);
  });
});

describe('isThere', () => {
  it('tells whether a file is there', async () => {
    using test = world();

    assert.deepEqual([await isThere(test.file), await isThere(`${test.file}.no`)], [true, false]);
  });
});
