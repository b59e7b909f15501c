// The dashboard of the chart, each of its queries asked of a real Prometheus that scrapes a system at work. Needs
// prometheus: scripts/e2e.sh gets it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { whyNoPrometheus } from '../support/prometheus.ts';
import { startWatchedSystem, type WatchedSystem } from '../support/watched-system.ts';

interface Dashboard {
  panels: { type: string; title: string; targets?: { expr: string }[] }[];
}
const { panels } = JSON.parse(
  readFileSync('charts/refmodel/files/dashboard.json', 'utf8'),
) as Dashboard;

/** As Grafana fills in its variables. */
const filledIn = (expr: string): string =>
  expr.replaceAll('$__rate_interval', '30s').replaceAll('$model', '.*');

describe('the dashboard', { skip: whyNoPrometheus }, () => {
  let system: WatchedSystem;
  before(async () => {
    system = await startWatchedSystem();
  });
  after(() => system[Symbol.asyncDispose]());

  async function until(isTrue: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 120_000; ; ) {
      if (await isTrue().catch(() => false)) return;
      assert.ok(Date.now() < end, 'it takes too long');
      await sleep(500);
    }
  }

  /** Values that the query has now; what is not a number shows as nothing. */
  async function valuesOf(expr: string): Promise<number[]> {
    const answer = await fetch(
      `${system.url}/api/v1/query?query=${encodeURIComponent(filledIn(expr))}`,
    );
    const body = (await answer.json()) as {
      status: string;
      error?: string;
      data: { result: { value: [number, string] }[] };
    };
    assert.equal(body.status, 'success', `${body.error}: ${expr}`);
    return body.data.result.map(({ value }) => Number(value[1])).filter(Number.isFinite);
  }

  it('has panels', () => {
    assert.ok(panels.filter(({ type }) => type === 'timeseries').length > 30);
  });

  for (const { title, targets = [] } of panels) {
    for (const [i, { expr }] of targets.entries()) {
      it(`${title}: query ${i + 1} has data`, async () => {
        await until(async () => (await valuesOf(expr)).length > 0).catch(() =>
          assert.fail(`no data: ${filledIn(expr)}`),
        );
      });
    }
  }
});
