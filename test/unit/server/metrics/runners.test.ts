import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Metrics } from '../../../../common/metrics.ts';
import { type RunnerProcess, runnerMetrics, takenBy } from '../../../../server/metrics/runners.ts';
import { scrape } from '../../../support/metrics.ts';

const skip = process.platform !== 'linux' && 'reads /proc';

describe('runnerMetrics', { skip }, () => {
  it('tells what the process of each loaded model takes', async () => {
    const metrics = new Metrics('x_');
    const own = { session: { pid: process.pid } };
    let models: RunnerProcess[] = [{ name: 'rl/a', value: own }, { name: 'rl/loading' }];
    runnerMetrics(metrics, () => models);

    const seen = await scrape(metrics.registry, 'x_');
    models = [];
    const later = await scrape(metrics.registry, 'x_');

    const seconds = seen['x_runner_cpu_seconds_total{model="rl/a"}'] ?? Number.NaN;
    const bytes = seen['x_runner_resident_memory_bytes{model="rl/a"}'] ?? Number.NaN;
    const { user, system } = process.cpuUsage();
    const now = (user + system) / 1e6;
    assert.ok(seconds > 0 && seconds <= now + 0.02, `${seconds} s of ${now}`);
    assert.ok(bytes > 2 ** 24 && bytes < 2 ** 34, `${bytes} bytes`);
    assert.equal(Object.keys(seen).length, 2);
    assert.deepEqual(later, {});
  });

  it('tells nothing of a process that has ended', async () => {
    const child = spawn('true');
    await once(child, 'exit');

    assert.equal(await takenBy(child.pid ?? 0, 'seconds'), undefined);
  });
});
