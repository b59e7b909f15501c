import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  abortable,
  ClientGoneError,
  linkSignals,
  ShutdownError,
  TimeoutError,
  why,
  withTimeout,
} from '../../../common/abort.ts';
import { FakeClock, settle } from '../../support/clock.ts';

describe('linkSignals', () => {
  it('follows whichever parent fires first, with its reason', () => {
    const [a, b] = [new AbortController(), new AbortController()];
    using link = linkSignals(a.signal, b.signal);

    b.abort(new ClientGoneError('gone'));
    a.abort(new ShutdownError('end'));

    assert.equal(why(link.signal), 'ClientGone');
  });

  it('is aborted from the start under a parent that fired before', () => {
    const parent = new AbortController();
    parent.abort(new ShutdownError('end'));

    using link = linkSignals(parent.signal);

    assert.equal(why(link.signal), 'Shutdown');
  });

  it('no longer follows once disposed', () => {
    const parent = new AbortController();
    const link = linkSignals(parent.signal);

    link[Symbol.dispose]();
    parent.abort(new ShutdownError('end'));

    assert.equal(link.signal.aborted, false);
  });
});

describe('withTimeout', () => {
  it('fires with a TimeoutError when the time is up', async () => {
    const clock = new FakeClock();
    using link = withTimeout(new AbortController().signal, 100, clock);

    await clock.step(99);
    assert.equal(link.signal.aborted, false);

    await clock.step(1);
    assert.equal(why(link.signal), 'Timeout');
  });

  it('fires the whole time after it was started anew', async () => {
    const clock = new FakeClock();
    using link = withTimeout(new AbortController().signal, 100, clock);

    await clock.step(99);
    link.restart();
    await clock.step(99);
    assert.equal(link.signal.aborted, false);
    assert.equal(clock.pending, 1);

    await clock.step(1);
    assert.equal(why(link.signal), 'Timeout');
  });

  it('leaves no timer behind when disposed first', async () => {
    const clock = new FakeClock();
    {
      using link = withTimeout(new AbortController().signal, 100, clock);
      await settle();
      assert.equal(link.signal.aborted, false);
      assert.equal(clock.pending, 1);
    }

    await settle();
    assert.equal(clock.pending, 0);
  });
});

describe('abortable', () => {
  it('gives up waiting with the reason, while the work goes on', async () => {
    const controller = new AbortController();
    let finish = () => {};
    const work = new Promise<string>((resolve) => {
      finish = () => resolve('done');
    });
    const waiting = abortable(work, controller.signal);

    controller.abort(new TimeoutError('late'));
    finish();

    await assert.rejects(waiting, TimeoutError);
    assert.equal(await work, 'done');
  });

  it('gives the value when the work ends first', async () => {
    assert.equal(await abortable(Promise.resolve(1), new AbortController().signal), 1);
  });
});
