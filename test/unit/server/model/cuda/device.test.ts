import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../../../common/errors.ts';
import { silentLogger } from '../../../../../common/log.ts';
import { Device, type Holder } from '../../../../../server/model/cuda/device.ts';
import { FakeClock, settle } from '../../../../support/clock.ts';

const GB = 1e9;
const forever = new AbortController().signal;

/** A GPU whose numbers a test moves. */
function world({ pids = false } = {}) {
  const gpu = {
    name: 'NVIDIA H100',
    computeCapability: 9,
    driverVersion: '580',
    totalBytes: 80 * GB,
    usedBytes: 1 * GB,
  };
  const processes = new Map<number, number>();
  const state = { fails: false };
  const answer = async <T>(value: T): Promise<T> => {
    if (state.fails) throw new AppError('PROVIDER_UNAVAILABLE', 'no answer');
    return value;
  };
  const clock = new FakeClock();
  const device = new Device({
    driver: { gpu: () => answer({ ...gpu }), processes: () => answer(new Map(processes)) },
    checkLibraries: async () => {},
    clock,
    log: silentLogger,
  });
  let lastPid = 100;
  const start = () => {
    let end = () => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    return { pid: ++lastPid, ended, end };
  };
  const load = (holder: Holder, bytes: number, signal = forever) =>
    device.take(
      holder,
      async () => {
        gpu.usedBytes += bytes;
        if (pids) processes.set(holder.pid, bytes);
      },
      signal,
    );
  return { device, gpu, processes, state, clock, start, load };
}

describe('Device', () => {
  it('measures a load by the memory that is used more after it', async () => {
    const { load, start } = world();

    assert.equal(await load(start(), 17 * GB), 17 * GB);
    assert.equal(await load(start(), 3 * GB), 3 * GB);
  });

  it('believes the driver about a process when it knows the pid', async () => {
    const { load, start, gpu, device } = world({ pids: true });
    const loaded = load(start(), 17 * GB);
    gpu.usedBytes += 5 * GB; // somebody else's

    assert.equal(await loaded, 17 * GB);
    assert.equal(await device.budget(), 80 * GB - 512 * 2 ** 20);
  });

  it('runs one load at a time, in order', async () => {
    const { device, start } = world();
    const order: string[] = [];
    let finish = () => {};
    const first = device.take(
      start(),
      async () => {
        order.push('first begins');
        await new Promise<void>((resolve) => (finish = resolve));
        order.push('first ends');
      },
      forever,
    );
    const second = device.take(start(), async () => void order.push('second'), forever);

    await settle();
    assert.deepEqual(order, ['first begins']);
    finish();
    await Promise.all([first, second]);

    assert.deepEqual(order, ['first begins', 'first ends', 'second']);
  });

  it('starts no load before the memory of what ended is back', async () => {
    const { load, start, gpu, clock } = world();
    const old = start();
    await load(old, 17 * GB);
    let isLoaded = false;

    old.end();
    await settle();
    const next = load(start(), 9 * GB).then((bytes) => {
      isLoaded = true;
      return bytes;
    });
    await clock.step(1000);
    assert.equal(isLoaded, false);
    gpu.usedBytes -= 17 * GB;
    await clock.step(200);

    assert.equal(await next, 9 * GB);
  });

  it('waits for the memory of a load that failed, too', async () => {
    const { device, load, start, gpu, clock } = world();
    const broken = start();
    const fails = device.take(
      broken,
      async () => {
        gpu.usedBytes += 30 * GB;
        throw new Error('it broke');
      },
      forever,
    );
    await assert.rejects(fails, /it broke/);
    broken.end();
    await settle();

    const next = load(start(), 9 * GB);
    await clock.step(300);
    gpu.usedBytes -= 30 * GB;
    await clock.step(200);

    assert.equal(await next, 9 * GB);
  });

  it('goes on when it does not come back in time, and does not wait for it again', async () => {
    const { load, start, clock } = world();
    const old = start();
    await load(old, 17 * GB);
    old.end();
    await settle();

    const next = load(start(), 9 * GB);
    await clock.step(11_000);

    assert.equal(await next, 9 * GB);
    assert.equal(await load(start(), 2 * GB), 2 * GB);
    assert.equal(clock.pending, 0);
  });

  it('gives up waiting with the signal', async () => {
    const { load, start } = world();
    const old = start();
    await load(old, 17 * GB);
    old.end();
    await settle();
    const controller = new AbortController();

    const next = load(start(), 9 * GB, controller.signal);
    controller.abort(new Error('given up'));

    await assert.rejects(next, /given up/);
  });

  it('has nothing to say of a load when the driver does not answer', async () => {
    const { load, start, state, device } = world();
    state.fails = true;

    assert.equal(await load(start(), 17 * GB), undefined);
    assert.equal(await device.budget(), undefined);
    await assert.rejects(device.check(), { code: 'PROVIDER_UNAVAILABLE' });
  });

  it('looks at the GPU and the libraries until they were found once', async () => {
    const { device, state } = world();

    await device.check();
    state.fails = true;

    await device.check();
  });
});
