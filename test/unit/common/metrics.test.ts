import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metrics, powersOfTwo, type Reading } from '../../../common/metrics.ts';

describe('Metrics', () => {
  it('gives every name its prefix, and those of the process', async () => {
    const metrics = new Metrics('refmodel_x_');

    metrics.counter('things_total', 'Things.', ['kind']).inc({ kind: 'a' });
    metrics.readingOf('depth', 'Depth.', () => 7);
    const lines = (await metrics.registry.metrics()).split('\n');

    assert.ok(lines.includes('refmodel_x_things_total{kind="a"} 1'));
    assert.ok(lines.includes('refmodel_x_depth 7'));
    assert.ok(lines.some((line) => line.startsWith('process_resident_memory_bytes ')));
  });

  it('reads at each scrape, and forgets what is gone', async () => {
    const metrics = new Metrics('x_');
    let readings: Reading<'model'>[] = [[{ model: 'a' }, 1]];
    metrics.reading('bytes', 'Bytes.', ['model'], () => readings);

    const first = await metrics.registry.getSingleMetricAsString('x_bytes');
    readings = [[{ model: 'b' }, 2]];
    const second = await metrics.registry.getSingleMetricAsString('x_bytes');

    assert.match(first, /x_bytes\{model="a"\} 1/);
    assert.match(second, /x_bytes\{model="b"\} 2/);
    assert.doesNotMatch(second, /"a"/);
  });

  it('counts powers of two from one', () => {
    assert.deepEqual(powersOfTwo(4), [1, 2, 4, 8]);
  });
});
