import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Backoff, backoffMs } from '../../../common/backoff.ts';

describe('backoffMs', () => {
  const most = (failures: number) =>
    backoffMs(failures, { firstMs: 100, maxMs: 1000, random: () => 0.999999 });
  const least = (failures: number) =>
    backoffMs(failures, { firstMs: 100, maxMs: 1000, random: () => 0 });

  it('doubles up to its cap', () => {
    assert.deepEqual([1, 2, 3, 4, 5, 400].map(most), [100, 200, 400, 800, 1000, 1000]);
  });

  it('takes off up to half of it, so that many do not come back at once', () => {
    assert.deepEqual([1, 2, 5].map(least), [50, 100, 500]);
  });
});

describe('Backoff', () => {
  it('begins anew after a success', () => {
    const backoff = new Backoff({ firstMs: 100, maxMs: 1000, random: () => 0 });
    backoff.next();
    backoff.next();

    backoff.reset();

    assert.equal(backoff.next(), 50);
  });
});
