import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, type ErrorCode } from '../../../../../common/errors.ts';
import { Retries, retrying } from '../../../../../server/model/hub/retries.ts';
import { HastyClock, neverAborted } from '../../../../support/hub-kit.ts';

const failing = (code: ErrorCode, retryAfterSeconds = 1) =>
  new AppError(code, 'x', { retryAfterSeconds });

describe('retrying', () => {
  it('tries again until it works, waiting longer each time', async () => {
    const clock = new HastyClock();
    let attempts = 0;

    const result = await retrying(
      async () => {
        attempts += 1;
        if (attempts < 4) throw failing('HUB_UNREACHABLE');
        return 'done';
      },
      clock,
      neverAborted,
    );

    assert.equal(result, 'done');
    assert.deepEqual(
      clock.waits.map((ms, i) => ms >= 250 * 2 ** i && ms <= 500 * 2 ** i),
      [true, true, true],
    );
  });

  it('gives up after six failures in a row', async () => {
    const clock = new HastyClock();

    const gaveUp = retrying(() => Promise.reject(failing('HUB_UNREACHABLE')), clock, neverAborted);

    await assert.rejects(gaveUp, { code: 'HUB_UNREACHABLE' });
    assert.equal(clock.waits.length, 5);
  });

  it('does not try again what cannot work', async () => {
    const clock = new HastyClock();

    const gaveUp = retrying(() => Promise.reject(failing('HUB_FORBIDDEN')), clock, neverAborted);

    await assert.rejects(gaveUp, { code: 'HUB_FORBIDDEN' });
    assert.deepEqual(clock.waits, []);
  });

  it('stops at once when it is aborted', async () => {
    const reason = new Error('given up');
    const attempt = () => Promise.reject(failing('HUB_UNREACHABLE'));

    await assert.rejects(retrying(attempt, new HastyClock(), AbortSignal.abort(reason)), reason);
  });
});

describe('Retries', () => {
  it('waits as long as the hub asks', async () => {
    const clock = new HastyClock();

    await new Retries(clock).after(failing('HUB_RATE_LIMITED', 120), neverAborted);

    assert.deepEqual(clock.waits, [120_000]);
  });

  it('does not wait longer than a window of the hub', async () => {
    const err = failing('HUB_RATE_LIMITED', 3600);

    await assert.rejects(new Retries(new HastyClock()).after(err, neverAborted), err);
  });

  it('counts anew after progress', async () => {
    const retries = new Retries(new HastyClock());

    for (let i = 0; i < 20; i += 1) {
      retries.progressed();
      await retries.after(failing('HUB_UNREACHABLE'), neverAborted);
    }
  });
});
