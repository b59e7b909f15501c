import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { soak } from '../support/soak.ts';

describe('a server under callers, evictions, cancels and kills at random', () => {
  it('answers every request that is not given up, and rightly, and leaves nothing behind', async (t) => {
    const seed = Date.now() % 2 ** 31;
    t.diagnostic(`seed ${seed}: node --import tsx bench/soak.ts 60 ${seed}`);

    const report = await soak({ seconds: 60, seed });

    t.diagnostic(JSON.stringify(report));
    assert.deepEqual(report.wrong, []);
    assert.deepEqual(report.lost, []);
    assert.equal(report.left, 0);
    assert.equal(report.exitCode, 0);
    for (const count of ['answers', 'cancelled', 'kills'] as const) {
      assert.ok(report[count] > 0, `no ${count}`);
    }
  });
});
