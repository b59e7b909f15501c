import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metrics } from '../../../../common/metrics.ts';
import { diskMetrics } from '../../../../server/metrics/disk.ts';
import { scrape } from '../../../support/metrics.ts';

describe('diskMetrics', () => {
  for (const { limitBytes, want } of [
    { limitBytes: 100, want: { x_disk_bytes: 7, x_disk_limit_bytes: 100 } },
    { limitBytes: undefined, want: { x_disk_bytes: 7 } },
  ]) {
    it(`tells what the cache folder holds of ${limitBytes ?? 'the volume'}`, async () => {
      const metrics = new Metrics('x_');
      diskMetrics(metrics, { bytes: async () => 7, limitBytes });

      assert.deepEqual(await scrape(metrics.registry, 'x_'), want);
    });
  }
});
