// docs/images/dashboard.png: the first rows of the chart's dashboard with the numbers of a real Prometheus that watches a
// system at work for two minutes. The page is ours, not Grafana's. Needs prometheus on the path and Chromium:
// `CHROMIUM=$(scripts/chromium.sh) PATH=$PATH:$(test/prometheus.sh) node --import tsx scripts/dashboard-picture.ts`
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { z } from 'zod';
import { startWatchedSystem } from '../test/support/watched-system.ts';
import { type Panel, pageOf, type Series } from './draw-panels.ts';

const watchedSeconds = 120;
const rowsShown = 3;

interface Queried extends Panel {
  targets?: { expr: string; legendFormat: string }[];
}
const { panels } = JSON.parse(readFileSync('charts/refmodel/files/dashboard.json', 'utf8')) as {
  panels: Queried[];
};

const answerSchema = z.object({
  data: z.object({
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        values: z.array(z.tuple([z.number(), z.string()])),
      }),
    ),
  }),
});

/** Of the last seconds, with the variables as Grafana fills them in. */
async function seriesOf(
  url: string,
  { expr, legendFormat }: { expr: string; legendFormat: string },
) {
  const end = Date.now() / 1000;
  const query = expr.replaceAll('$__rate_interval', '15s').replaceAll('$model', '.*');
  const range = { query, start: String(end - watchedSeconds), end: String(end), step: '2' };
  const answer = await fetch(`${url}/api/v1/query_range?${new URLSearchParams(range).toString()}`);
  const { data } = answerSchema.parse(await answer.json());
  return data.result.map(({ metric, values }): Series => {
    const name = legendFormat.replaceAll(
      /\{\{(\w+)\}\}/g,
      (_, label: string) => metric[label] ?? '',
    );
    const points = values.map(([at, value]) => [at, Number(value)] as const);
    return { name, points: points.filter(([, value]) => Number.isFinite(value)) };
  });
}

/** Panels above the row after the last one that is shown. */
function shownPanels(): Queried[] {
  const end = panels.filter(({ type }) => type === 'row')[rowsShown]?.gridPos.y ?? Infinity;
  return panels.filter(({ gridPos }) => gridPos.y < end);
}

await using system = await startWatchedSystem();
await sleep(watchedSeconds * 1000);
const drawn = await Promise.all(
  shownPanels().map(async (panel) => {
    const found = (panel.targets ?? []).map((target) => seriesOf(system.url, target));
    return { panel, series: (await Promise.all(found)).flat() };
  }),
);
const executablePath = process.env['CHROMIUM'];
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const page = await browser.newPage({ viewport: { width: 24 * 54, height: 600 } });
await page.setContent(pageOf(drawn));
await page.screenshot({ path: 'docs/images/dashboard.png', fullPage: true });
await browser.close();
