import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DownloadProgress, Tally } from '../../../../../server/model/hub/tally.ts';
import { FakeClock } from '../../../../support/clock.ts';

describe('Tally', () => {
  it('tells the first piece at once, then at most twice a second, and when it is asked to', async () => {
    const clock = new FakeClock();
    const told: DownloadProgress[] = [];
    const tally = new Tally(100, clock, (progress) => told.push(progress));

    tally.add(10);
    tally.add(10);
    await clock.step(499);
    tally.add(10);
    await clock.step(1);
    tally.finishFile();
    tally.add(-5);
    tally.add(75);
    tally.report();

    assert.deepEqual(told, [
      { files: 0, bytes: 10, totalBytes: 100 },
      { files: 1, bytes: 25, totalBytes: 100 },
      { files: 1, bytes: 100, totalBytes: 100 },
    ]);
  });
});
