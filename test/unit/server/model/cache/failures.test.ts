import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../../../common/errors.ts';
import { Failures } from '../../../../../server/model/cache/failures.ts';
import { FakeClock } from '../../../../support/clock.ts';
import { catalogModel } from '../../../../support/server-kit.ts';

const broken = new AppError('LOAD_FAILED', 'broken');
const model = catalogModel('m');
const minute = 60_000;

describe('Failures', () => {
  it('gives the same error again until its back-off is over', async () => {
    const clock = new FakeClock();
    const failures = new Failures(clock);

    failures.record(model, broken, { isFirstFree: false });

    const { code, message } = broken;
    assert.throws(() => failures.check('m'), { code, message });
    await clock.step(1000);
    failures.check('m');
  });

  it('waits longer after every failure in a row, up to half a minute', async () => {
    const clock = new FakeClock();
    const failures = new Failures(clock);
    const waits: number[] = [];

    for (let i = 0; i < 7; i++) {
      failures.record(model, broken, { isFirstFree: false });
      const start = clock.now();
      while (isBlocked(failures)) await clock.step(500);
      waits.push(clock.now() - start);
    }

    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  it('says when to come back', async () => {
    const clock = new FakeClock();
    const failures = new Failures(clock);
    for (let i = 0; i < 4; i++) failures.record(model, broken, { isFirstFree: false });

    await clock.step(2500);

    assert.throws(() => failures.check('m'), { retryAfterSeconds: 6 });
  });

  it('lets the first one be tried again at once where that is asked, the second not', () => {
    const failures = new Failures(new FakeClock());

    failures.record(model, broken, { isFirstFree: true });
    assert.ok(!isBlocked(failures));
    failures.record(model, broken, { isFirstFree: true });
    assert.ok(isBlocked(failures));
  });

  it('shows no error once the model loaded, but remembers for one that dies again', () => {
    const failures = new Failures(new FakeClock());
    failures.record(model, broken, { isFirstFree: true });

    failures.resolve('m');
    assert.equal(failures.get('m'), undefined);
    failures.record(model, broken, { isFirstFree: true });

    assert.ok(isBlocked(failures));
  });

  it('counts from the start again after a quiet time, and after being told to forget', async () => {
    const clock = new FakeClock();
    const failures = new Failures(clock);
    failures.record(model, broken, { isFirstFree: true });

    await clock.step(11 * minute);
    failures.record(model, broken, { isFirstFree: true });
    assert.ok(!isBlocked(failures));
    failures.forget('m');

    assert.deepEqual(failures.models(), []);
    assert.equal(failures.get('m'), undefined);
  });
});

function isBlocked(failures: Failures): boolean {
  try {
    failures.check('m');
    return false;
  } catch {
    return true;
  }
}
