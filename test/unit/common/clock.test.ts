import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../../common/clock.ts';
import { FakeClock } from '../../support/clock.ts';

const never = new AbortController().signal;

describe('systemClock', () => {
  it('rejects with the reason of the signal, not with an AbortError', async () => {
    const controller = new AbortController();
    const reason = new Error('stop');
    const wait = systemClock.delay(60_000, controller.signal);

    controller.abort(reason);

    await assert.rejects(wait, reason);
  });

  it('ends by itself', async () => {
    await systemClock.delay(1, never);
  });

  it('calls back once, or not at all when that is given up before', async () => {
    const seen: string[] = [];
    const given = systemClock.after(1, () => seen.push('given up'));
    given[Symbol.dispose]();
    await new Promise<void>((resolve) => {
      systemClock.after(2, () => {
        seen.push('kept');
        resolve();
      });
    });

    assert.deepEqual(seen, ['kept']);
  });
});

describe('FakeClock', () => {
  it('ends waits in order of their time, each at its own moment', async () => {
    const clock = new FakeClock(0);
    const seen: [string, number][] = [];
    void clock.delay(20, never).then(() => seen.push(['b', clock.now()]));
    void clock.delay(10, never).then(() => seen.push(['a', clock.now()]));

    await clock.step(15);
    assert.deepEqual(seen, [['a', 10]]);

    await clock.step(15);
    assert.deepEqual(seen.at(-1), ['b', 20]);
    assert.equal(clock.now(), 30);
  });

  it('calls back at the moment that was asked for, unless that is given up', async () => {
    const clock = new FakeClock(0);
    const seen: number[] = [];
    clock.after(10, () => seen.push(clock.now()));
    clock.after(5, () => seen.push(-1))[Symbol.dispose]();

    await clock.step(15);

    assert.deepEqual(seen, [10]);
    assert.equal(clock.pending, 0);
  });

  it('drops a wait that is aborted', async () => {
    const clock = new FakeClock(0);
    const controller = new AbortController();
    const wait = clock.delay(10, controller.signal);

    controller.abort(new Error('gone'));

    await assert.rejects(wait, { message: 'gone' });
    assert.equal(clock.pending, 0);
  });
});
