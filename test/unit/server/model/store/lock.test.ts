import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { clear, type Held, marksIn, withLock } from '../../../../../server/model/store/lock.ts';
import {
  type Machine,
  neverAborted,
  SharedVolume,
  staleMs,
} from '../../../../support/store-kit.ts';

const never = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });

function locker(volume: SharedVolume) {
  const folder = volume.file('locks', 'a~b');
  const lock = <T>({ pulse }: Machine, work: (held: Held) => Promise<T>, signal = neverAborted) =>
    withLock(folder, pulse, work, signal);
  /** Gives the mark of `machine`, which has the lock from then on. */
  const occupy = (machine: Machine) =>
    new Promise<string>((resolve) => {
      const work = async ({ mark, signal }: Held) => {
        writeFileSync(mark, 'half');
        resolve(mark);
        await never(signal);
      };
      volume.begin(lock(machine, work, machine.gone.signal));
    });
  /** The mark of a machine that had the lock when it was killed. */
  const dead = async (skewHours = 0) => {
    const machine = volume.machine(skewHours);
    const mark = await occupy(machine);
    volume.kill(machine);
    return mark;
  };
  return { folder, lock, occupy, dead };
}

/** Work that notices when it is not alone. */
function lonely(volume: SharedVolume) {
  const seen = { inside: 0, most: 0, done: 0 };
  const work = async () => {
    seen.inside += 1;
    seen.most = Math.max(seen.most, seen.inside);
    await volume.step(1);
    seen.inside -= 1;
    seen.done += 1;
  };
  return { seen, work };
}

describe('withLock', () => {
  it('lets one in at a time, and all in the end', async () => {
    await using volume = new SharedVolume();
    const { lock } = locker(volume);
    const { seen, work } = lonely(volume);
    const machines = Array.from({ length: 8 }, () => volume.machine());

    await volume.drive(Promise.all(machines.map((machine) => lock(machine, work))));

    assert.deepEqual(seen, { inside: 0, most: 1, done: 8 });
    assert.deepEqual(volume.list('locks'), []);
  });

  for (const skewHours of [0, -5, 5]) {
    it(`lets exactly one of many take over from a dead owner, clocks ${skewHours} h apart`, async () => {
      await using volume = new SharedVolume();
      const { lock, dead } = locker(volume);
      const { seen, work } = lonely(volume);
      await dead(skewHours);
      const machines = Array.from({ length: 8 }, () => volume.machine());

      await volume.drive(Promise.all(machines.map((machine) => lock(machine, work))));

      assert.deepEqual(seen, { inside: 0, most: 1, done: 8 });
      assert.deepEqual(volume.list('locks'), []);
    });
  }

  for (const skewHours of [0, -5, 5]) {
    it(`leaves the lock to an owner that lives, clocks ${skewHours} h apart`, async () => {
      await using volume = new SharedVolume();
      const { lock, folder, occupy } = locker(volume);
      const mark = await occupy(volume.machine(skewHours));
      const waiter = volume.machine();
      let isIn = false;
      const enter = async () => {
        isIn = true;
      };
      volume.begin(lock(waiter, enter, waiter.gone.signal));

      await volume.pass(4 * staleMs);

      assert.equal(isIn, false);
      assert.deepEqual(await marksIn(folder), [mark]);
    });
  }

  it('cannot end another owner than the one that was seen to be dead', async () => {
    await using volume = new SharedVolume();
    const { folder, lock, dead } = locker(volume);
    const mark = await dead();
    const machine = volume.machine();

    await volume.drive(
      lock(machine, async (held) => {
        await clear(folder, mark); // by a waiter that saw the dead one too and was slow

        assert.deepEqual(await marksIn(folder), [held.mark]);
      }),
    );
  });

  it('begins again when it was taken for dead', async () => {
    await using volume = new SharedVolume();
    const { lock } = locker(volume);
    const machine = volume.machine();
    const reasons: unknown[] = [];

    const value = await volume.drive(
      lock(machine, async ({ mark, signal }) => {
        if (reasons.length > 0) return 'again';
        rmSync(mark);
        await never(signal).catch((err: unknown) => reasons.push(err));
        throw new Error('half done');
      }),
    );

    assert.deepEqual([value, reasons.length], ['again', 1]);
    assert.deepEqual(volume.list('locks'), []);
  });

  it('ends when the owner moves its mark away', async () => {
    await using volume = new SharedVolume();
    const { lock } = locker(volume);
    const machine = volume.machine();

    await volume.drive(
      lock(machine, async ({ mark }) => {
        writeFileSync(mark, 'all');
        await rename(mark, volume.file('result'));
      }),
    );

    assert.deepEqual(readdirSync(volume.dir).sort(), ['locks', 'result']);
    assert.deepEqual(volume.list('locks'), []);
  });

  it('is free after an error, and passes it on', async () => {
    await using volume = new SharedVolume();
    const { lock } = locker(volume);
    const machine = volume.machine();
    const error = new Error('no luck');

    await assert.rejects(volume.drive(lock(machine, () => Promise.reject(error))), error);

    assert.deepEqual(volume.list('locks'), []);
    assert.equal(machine.clock.pending, 0);
  });

  it('gives up waiting, and working, with the reason of its signal', async () => {
    await using volume = new SharedVolume();
    const { lock } = locker(volume);
    const machine = volume.machine();
    const [working, waiting] = [new AbortController(), new AbortController()];
    let isIn = () => {};
    const entered = new Promise<void>((resolve) => {
      isIn = resolve;
    });
    const work = ({ signal }: Held) => {
      isIn();
      return never(signal);
    };
    const first = lock(machine, work, working.signal);
    await entered;
    const second = lock(machine, () => Promise.resolve(), waiting.signal);
    await volume.step(1);

    waiting.abort(new Error('tired of waiting'));
    await assert.rejects(volume.drive(second), /tired of waiting/);
    working.abort(new Error('tired of working'));
    await assert.rejects(volume.drive(first), /tired of working/);

    assert.deepEqual(volume.list('locks'), []);
    assert.equal(machine.clock.pending, 0);
  });

  it('takes an empty folder that one left who died as he freed it', async () => {
    await using volume = new SharedVolume();
    const { lock, folder } = locker(volume);
    const machine = volume.machine();
    mkdirSync(folder, { recursive: true });

    assert.equal(await volume.drive(lock(machine, async () => 'in')), 'in');
  });

  it('ignores the names under which NFS keeps removed files', async () => {
    await using volume = new SharedVolume();
    const { folder } = locker(volume);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, '.nfs0001'), '');

    assert.deepEqual(await marksIn(folder), []);
  });
});
