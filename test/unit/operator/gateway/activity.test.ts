import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { demandReport } from '../../../../operator/demand.ts';
import { Activity } from '../../../../operator/gateway/activity.ts';
import { FakeClock } from '../../../support/clock.ts';
import { endpoint } from '../../../support/gateway-kit.ts';

const nobody = () => 0;

describe('Activity', () => {
  it('reports no model that was never asked for', () => {
    assert.deepEqual(new Activity(new FakeClock()).report(nobody), []);
  });

  it('counts requests per model and per endpoint until they end', () => {
    const activity = new Activity(new FakeClock());
    const a = endpoint({ id: 'a' });

    const first = activity.begin('rl/x', a);
    const second = activity.begin('rl/y', a);
    const during = [activity.load(a), activity.report(nobody).map(({ inFlight }) => inFlight)];
    first[Symbol.dispose]();
    second[Symbol.dispose]();

    assert.deepEqual(during, [2, [1, 1]]);
    assert.equal(activity.load(a), 0);
    assert.deepEqual(activity.inFlight(), [
      { model: 'rl/x', inFlight: 0 },
      { model: 'rl/y', inFlight: 0 },
    ]);
  });

  it('reports the last moment that a model was asked for, and who waits for it', async () => {
    const clock = new FakeClock(Date.UTC(2026, 5, 1));
    const activity = new Activity(clock);
    activity.touch('rl/x');
    await clock.step(5000);
    activity.touch('rl/x');

    const models = activity.report(() => 3);

    assert.deepEqual(models, [
      { model: 'rl/x', inFlight: 0, held: 3, lastActivity: '2026-06-01T00:00:05.000Z' },
    ]);
    demandReport.parse({ gateway: 'g', models, pods: [], traffic: [] });
  });

  it('knows no activity of a model that was only looked at', () => {
    const activity = new Activity(new FakeClock());

    activity.begin('rl/x', endpoint())[Symbol.dispose]();

    assert.equal(activity.report(nobody)[0]?.lastActivity, null);
  });

  it('forgets a model that is gone, but not while a request of it runs', () => {
    const activity = new Activity(new FakeClock());
    const flight = activity.begin('rl/x', endpoint());

    activity.forget('rl/x');
    const during = activity.inFlight().length;
    flight[Symbol.dispose]();
    activity.forget('rl/x');

    assert.deepEqual([during, activity.inFlight().length], [1, 0]);
  });
});
