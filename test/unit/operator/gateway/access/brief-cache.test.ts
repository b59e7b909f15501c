import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BriefCache } from '../../../../../operator/gateway/access/brief-cache.ts';
import { FakeClock } from '../../../../support/clock.ts';

function setup(maxEntries = 10) {
  const clock = new FakeClock();
  const cache = new BriefCache<number>({ clock, maxEntries, keepMs: 1000 });
  let asked = 0;
  return { clock, cache, asked: () => asked, find: async () => ++asked };
}

describe('BriefCache', () => {
  it('asks once for those who come together, and for those who come soon after', async () => {
    const t = setup();

    const answers = await Promise.all([t.cache.get('a', t.find), t.cache.get('a', t.find)]);
    await t.clock.step(999);
    const later = await t.cache.get('a', t.find);

    assert.deepEqual([...answers, later], [1, 1, 1]);
  });

  it('asks anew when its time is over, however often it was asked for before', async () => {
    const t = setup();
    await t.cache.get('a', t.find);
    await t.clock.step(500);
    await t.cache.get('a', t.find);

    await t.clock.step(500);

    assert.equal(await t.cache.get('a', t.find), 2);
  });

  it('tells a failure to those who wait for it, and does not remember it', async () => {
    const t = setup();
    const fail = () => Promise.reject(new Error('down'));
    const both = [t.cache.get('a', fail), t.cache.get('a', t.find)];

    for (const answer of both) await assert.rejects(answer);

    assert.equal(await t.cache.get('a', t.find), 1);
  });

  it('forgets what was asked for longest ago when there is no room', async () => {
    const t = setup(2);
    for (const key of ['a', 'b', 'a', 'c']) await t.cache.get(key, t.find);

    assert.equal(await t.cache.get('a', t.find), 1);
    assert.equal(await t.cache.get('b', t.find), 4);
  });

  it('never holds more than it may, and never answers with what was found longer ago than it keeps', async () => {
    const step = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), ms: fc.nat(700) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new FakeClock();
        const cache = new BriefCache<number>({ clock, maxEntries: 3, keepMs: 1000 });
        for (const { key, ms } of steps) {
          await clock.step(ms);
          const foundAt = await cache.get(key, async () => clock.now());
          assert.ok(clock.now() - foundAt < 1000, 'too old');
          assert.ok(cache.size <= 3, 'too many');
        }
      }),
    );
  });
});
