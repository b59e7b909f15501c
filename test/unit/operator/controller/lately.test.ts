import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Lately } from '../../../../operator/controller/lately.ts';

const windowMs = 100;

describe('Lately', () => {
  it('knows nothing before it has watched for as long as the window', () => {
    const lately = new Lately(0);

    assert.equal(lately.most('a', 1, { now: 99, windowMs }), Number.POSITIVE_INFINITY);
    assert.equal(lately.most('a', 1, { now: 100, windowMs }), 1);
  });

  it('remembers the largest value, and forgets it when it is as old as the window', () => {
    const lately = new Lately(-windowMs);
    lately.most('a', 5, { now: 0, windowMs });

    assert.equal(lately.most('a', 1, { now: 99, windowMs }), 5);
    assert.equal(lately.most('a', 1, { now: 100, windowMs }), 1);
    assert.equal(lately.most('b', 2, { now: 100, windowMs }), 2);
  });

  it('says what a whole record of the values would say', () => {
    const step = fc.record({ value: fc.nat(9), later: fc.nat(60) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const lately = new Lately(-windowMs);
        const all: { value: number; at: number }[] = [];
        let now = 0;
        for (const { value, later } of steps) {
          now += later;
          all.push({ value, at: now });
          const inWindow = all.filter(({ at }) => now - at < windowMs);

          assert.equal(
            lately.most('a', value, { now, windowMs }),
            Math.max(...inWindow.map((seen) => seen.value)),
          );
        }
      }),
    );
  });

  it('drops the keys that are gone', () => {
    const lately = new Lately(-windowMs);
    lately.most('a', 5, { now: 0, windowMs });

    lately.retain(new Set(['b']));

    assert.equal(lately.most('a', 1, { now: 1, windowMs }), 1);
  });
});
