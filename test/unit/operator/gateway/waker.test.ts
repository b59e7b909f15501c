import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { noTracing } from '../../../../common/tracing.ts';
import { Waker } from '../../../../operator/gateway/waker.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { deferred } from '../../../support/gateway-kit.ts';

const setup = (wake: (pool: string, signal: AbortSignal) => Promise<void> = async () => {}) => {
  const clock = new FakeClock();
  const needed = new Set<string>();
  const calls: string[] = [];
  const failed: string[] = [];
  const woken: number[] = [];
  const waker = new Waker({
    backend: {
      wake: async (pool, signal) => {
        calls.push(pool);
        await wake(pool, signal);
      },
    },
    isNeeded: (pool) => needed.has(pool),
    onWake: () => {},
    onWoken: (_pool, seconds) => void woken.push(seconds),
    onWakeFailed: (pool) => void failed.push(pool),
    clock,
    log: silentLogger,
    tracing: noTracing,
  });
  return { clock, needed, calls, failed, woken, waker };
};

/** Every call fails until it is mended. */
function setupBroken() {
  let isBroken = true;
  const world = setup(async () => {
    if (isBroken) throw new Error('api down');
  });
  const mend = () => {
    isBroken = false;
  };
  return { ...world, mend };
}

describe('Waker', () => {
  it('asks in the very step that the need arises, and once however many need it', () => {
    const { needed, calls, waker } = setup();
    needed.add('p');

    for (let i = 0; i < 20; i++) waker.ensure('p');

    assert.deepEqual(calls, ['p']);
  });

  it('asks again as long as the need lasts, ever more rarely, and then no more', async () => {
    const { clock, needed, calls, waker } = setup();
    needed.add('p');
    waker.ensure('p');

    await clock.step(60_000);
    const whileNeeded = calls.length;
    needed.clear();
    await clock.step(60_000);

    assert.ok(whileNeeded >= 6 && whileNeeded <= 14, `${whileNeeded} calls in a minute`);
    assert.equal(calls.length, whileNeeded);
    assert.equal(clock.pending, 0);
  });

  it('asks at once for a need that arises after the last one ended', async () => {
    const { clock, needed, calls, waker } = setup();
    needed.add('p');
    waker.ensure('p');
    needed.clear();
    await clock.step(60_000);

    needed.add('p');
    waker.ensure('p');

    assert.equal(calls.length, 2);
  });

  it('asks at once again when it was relaxed in between, and not when the need lasted', async () => {
    const { clock, needed, calls, waker } = setup();
    needed.add('p');
    waker.ensure('p');
    await settle();

    waker.relax('p');
    waker.ensure('p');
    const whileNeeded = calls.length;
    needed.clear();
    waker.relax('p');
    needed.add('p');
    waker.ensure('p');
    needed.clear();
    await clock.step(60_000);

    assert.deepEqual([whileNeeded, calls.length, clock.pending], [1, 2, 0]);
  });

  it('asks for pools independently', () => {
    const { needed, calls, waker } = setup(() => new Promise(() => {}));
    needed.add('p').add('q');

    waker.ensure('p');
    waker.ensure('q');

    assert.deepEqual(calls, ['p', 'q']);
  });

  it('keeps why a wake failed until one succeeds, and tells of each failure', async () => {
    const { clock, mend, failed, needed, waker } = setupBroken();
    needed.add('p');

    waker.ensure('p');
    await settle();
    const whileBroken = waker.failure('p');
    mend();
    await clock.step(10_000);

    assert.deepEqual([whileBroken, waker.failure('p')], ['api down', undefined]);
    assert.deepEqual(failed, ['p']);
  });

  it('tells once how long it took until a call succeeded, those that failed before included', async () => {
    const { clock, mend, needed, woken, waker } = setupBroken();
    needed.add('p');
    waker.ensure('p');
    await settle();
    const whileBroken = [...woken];

    mend();
    await clock.step(60_000);

    assert.deepEqual([whileBroken, woken.length], [[], 1]);
    assert.ok((woken[0] ?? 0) >= 0.25 && (woken[0] ?? 0) <= 1, `${woken[0]} s`);
  });

  it('gives up a call that hangs and asks again', async () => {
    const { clock, needed, calls, waker } = setup(
      (_pool, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
    );
    needed.add('p');

    waker.ensure('p');
    await clock.step(21_000);

    assert.ok(calls.length >= 2);
  });

  it('has no call and no timer left once closed', async () => {
    const hanging = deferred();
    const { clock, needed, calls, waker } = setup(() => hanging.promise);
    needed.add('p');
    waker.ensure('p');

    const closed = waker.close();
    hanging.resolve();
    await closed;
    waker.ensure('p');

    assert.equal(calls.length, 1);
    assert.equal(clock.pending, 0);
  });
});
