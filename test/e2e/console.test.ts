// The console in a real Chromium: over `refmodel local` with its real server, and over a gateway whose models the test
// moves. $CHROMIUM names the browser.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import { type Listening, listen } from '../../common/http.ts';
import type { Page, Seen } from '../support/browser.ts';
import { startBrowser, watch, whyNoBrowser } from '../support/browser.ts';
import { referenceModel } from '../support/builders.ts';
import { condition } from '../support/console-kit.ts';
import type { TestGateway } from '../support/gateway-kit.ts';
import { FakePod, model, resident, startGateway, state } from '../support/gateway-kit.ts';
import { exampleManifest, Local } from '../support/local-command.ts';

const rowOf = (page: Page, name: string) => page.locator('tbody tr', { hasText: name });
/** In the page, as text: it is none of this program. */
const inPage = <T>(page: Page, expression: string) => page.evaluate<T>(expression);

const focused = (page: Page) =>
  inPage<string>(
    page,
    "document.activeElement.closest('tr')?.textContent ?? document.activeElement.id",
  );
const shownRows = (page: Page) => page.locator('tbody tr:not([hidden])');
const hasRoom = (page: Page) =>
  inPage<boolean>(page, 'document.documentElement.scrollWidth <= innerWidth');

const colors = (page: Page, selector: string) =>
  inPage<[string, string]>(
    page,
    `[getComputedStyle(document.querySelector('${selector}')).color, getComputedStyle(document.documentElement).backgroundColor]`,
  );

/** Relative luminance of WCAG 2, of "rgb(r, g, b)". */
function luminance(color: string): number {
  const [r = 0, g = 0, b = 0] = (color.match(/[\d.]+/g) ?? []).map((part) => {
    const c = Number(part) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Contrast ratio of WCAG 2. */
function contrast(pair: [string, string]): number {
  const [light = 0, dark = 0] = pair.map(luminance).toSorted((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

describe('the console of refmodel local', { skip: whyNoBrowser }, () => {
  let browser: Browser;
  let local: Local;
  let page: Page;

  before(async () => {
    const broken = exampleManifest('broken', 'nowhere', '3s');
    local = await Local.start(`${exampleManifest('tiny', 'tiny-python-llama', '3s')}---${broken}`);
    browser = await startBrowser();
    page = await browser.newPage();
    await page.goto(`${local.url}/console`);
  });
  after(async () => {
    await browser.close();
    await local.stop();
    local.remove();
  });

  it('shows the models, asleep, and no pod', async () => {
    await rowOf(page, 'default/tiny').getByText('Asleep').waitFor();
    await rowOf(page, 'default/broken').getByText('Asleep').waitFor();
    await page.getByText('No pod runs').waitFor();
  });

  it('follows a model from the first request until it sleeps again, without a reload', async () => {
    const answer = local.score([[1, 2, 3]]);
    await rowOf(page, 'default/tiny')
      .getByText(/Starting|Loading/)
      .waitFor();
    await answer;
    await rowOf(page, 'default/tiny').getByText('Warm').waitFor();
    await page.locator('#pods').getByText('default/tiny', { exact: false }).first().waitFor();

    await rowOf(page, 'default/tiny').getByText('Asleep').waitFor();
    await page.getByText('No pod runs').waitFor();
  });

  it('tells the error of a model, its remedy, and leads to its code', async () => {
    await fetch(`${local.url}/default/broken/v1/logprobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"input_ids":[[1,2]]}',
    });
    await rowOf(page, 'default/broken').getByText('Failed').waitFor();

    await rowOf(page, 'default/broken').click();
    const details = page.getByRole('dialog');
    await details.getByText('Remedy: check the repository').waitFor();
    await details.getByRole('link', { name: 'MODEL_FILES_MISSING' }).click();
    await page.waitForURL(/errors#MODEL_FILES_MISSING$/);
    await page.locator('#MODEL_FILES_MISSING').waitFor();
  });
});

describe('the console of a gateway', { skip: whyNoBrowser }, () => {
  let browser: Browser;
  let gateway: TestGateway;
  let admin: Listening;
  let pod: FakePod;
  let page: Page;
  let seen: Seen;

  const many = Array.from({ length: 1000 }, (_, i) => model({ key: `team-${i % 7}/model-${i}` }));
  const open = async (options: Parameters<Browser['newPage']>[0] = {}) => {
    const opened = await browser.newPage(options);
    await opened.goto(`http://127.0.0.1:${admin.port}/console`);
    await opened.locator('tbody tr').first().waitFor();
    return opened;
  };

  before(async () => {
    browser = await startBrowser();
    gateway = await startGateway({ models: [model(), model({ key: 'rl/other' }), ...many] });
    admin = await listen(gateway.gateway.admin, 0, '127.0.0.1');
    pod = await FakePod.start();
    pod.tell(state({ models: [resident('rl/tiny')], limits: { host: 2 ** 30 } }));
    gateway.backend.up(pod.endpoint);
  });
  beforeEach(async () => {
    await page?.close();
    page = await open();
    seen = watch(page);
  });
  after(async () => {
    await browser.close();
    await admin.close();
    await gateway.close();
    await pod.close();
  });

  it('shows a thousand models, each in a row, what needs attention first', async () => {
    await rowOf(page, 'rl/tiny').getByText('Warm').waitFor();

    assert.equal(await page.locator('tbody tr').count(), 1002);
    assert.match((await page.locator('tbody tr').first().textContent()) ?? '', /rl\/tiny/);
    assert.equal(await page.locator('.chips').getByText('Asleep 1001').count(), 1);
  });

  it('asks for what changed only, and touches only those rows', async () => {
    await inPage(
      page,
      `touched = new Set();
      new MutationObserver((changes) => {
        for (const { target } of changes) {
          const row = target.closest?.('tr') ?? target.parentElement?.closest('tr');
          touched.add(row?.querySelector('th')?.textContent ?? 'the table');
        }
      }).observe(document.querySelector('#models'), { subtree: true, childList: true, characterData: true })`,
    );
    await page.waitForResponse((response) => response.status() === 304);

    pod.tell(
      state({ models: [{ ...resident('rl/tiny'), memory: { host: 5 * 2 ** 20, device: 0 } }] }),
    );
    await rowOf(page, 'rl/tiny').getByText('5.0 MiB').waitFor();

    const touched = await inPage<string[]>(page, '[...touched]');
    assert.deepEqual(touched, ['rl/tiny']);
  });

  it('tells who waits for what, and why, as long as they wait', async () => {
    const leaving = new AbortController();
    gateway.backend.set(model({ key: 'rl/other', pool: 'rl/rfm-pool-a10' }));
    gateway.backend.troubles.set('rl/rfm-pool-a10', 'Unschedulable: no node has a GPU');
    const held = gateway.send('/rl/other/v1/logprobs', {
      headers: { 'x-refmodel-run': 'run-7' },
      signal: leaving.signal,
    });
    const waiting = page.locator('#waiting');
    await waiting.getByText('1 request from run-7 (1)').waitFor();
    await waiting.getByText('no node has a GPU').waitFor();

    leaving.abort();
    await assert.rejects(held);
    await waiting.waitFor({ state: 'hidden' });
  });

  it('tells of a model how far it is from its checkpoint and policies from it, and how its cold start went', async () => {
    const measured = {
      ...resident('rl/tiny'),
      memory: { host: 5 * 2 ** 20, device: 0 },
      fidelity: { kl: 0.00042, meanAbsDelta: 0.01, maxAbsDelta: 0.2, tokens: 1024 },
      policy: { k1: 0.05, k3: 0.06, tokens: 512 },
      seconds: { download: 40, convert: 20, load: 3 },
    };
    pod.tell(state({ models: [measured] }));
    await rowOf(page, 'rl/tiny').getByText('0.00042').waitFor();

    await rowOf(page, 'rl/tiny').click();
    const details = page.getByRole('dialog');
    await details.getByText('0.00042 nats per token').waitFor();
    await details.getByText('0.06 nats per token').waitFor();
    const timeline = details.getByLabel(/^Last cold start, /);
    const text = (await timeline.getAttribute('aria-label')) ?? '';
    assert.match(text, /download 40\.?0? s, convert 20\.?0? s, load 3\.?0? s/);
  });

  it('is worked with the keyboard alone', async () => {
    await page.keyboard.press('/');
    assert.equal(await focused(page), 'filter');
    await page.keyboard.type('team-3 model-990');
    await page.waitForFunction("document.querySelectorAll('tbody tr:not([hidden])').length === 1");

    await page.keyboard.press('ArrowDown');
    assert.match((await focused(page)) ?? '', /team-3\/model-990/);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    assert.match((await focused(page)) ?? '', /team-3\/model-990/);

    await page.keyboard.press('ArrowUp');
    assert.equal(await focused(page), 'filter');
    await page.keyboard.press('Escape');
    assert.equal(await shownRows(page).count(), 1002);
  });

  it('is dark where the machine is, and readable in both', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const other = await open({ colorScheme });
      const [, paper] = await colors(other, 'h1');

      assert.equal(luminance(paper) < 0.2, colorScheme === 'dark');
      for (const selector of ['h1', '.quiet', 'thead th', 'a', 'tbody td']) {
        const ratio = contrast(await colors(other, selector));
        assert.ok(ratio >= 4.5, `${selector} in ${colorScheme}: ${ratio}`);
      }
      await other.close();
    }
  });

  it('fits a narrow screen', async () => {
    const narrow = await open({ viewport: { width: 340, height: 700 } });

    assert.equal(await hasRoom(narrow), true);
    await narrow.getByRole('button', { name: 'rl/tiny' }).click();
    await narrow.getByRole('dialog').waitFor();
    assert.equal(await hasRoom(narrow), true);
    await narrow.close();
  });

  it('moves nothing for who wants no motion', async () => {
    const durations: string[] = [];
    for (const reducedMotion of ['reduce', 'no-preference'] as const) {
      const still = await open({ reducedMotion });
      await still.locator('.track > span').first().waitFor({ state: 'attached' });
      durations.push(
        await inPage<string>(
          still,
          "getComputedStyle(document.querySelector('.track > span')).transitionDuration",
        ),
      );
      await still.close();
    }

    assert.deepEqual(durations, ['0s', '0.4s']);
  });

  it('asks nobody else for anything, and breaks its own policy nowhere', async () => {
    const origin = `http://127.0.0.1:${admin.port}`;
    await page.reload();
    await rowOf(page, 'rl/tiny').click();
    await page.getByRole('dialog').waitFor();
    await page.waitForResponse((response) => response.status() === 304);

    const elsewhere = seen.requests.filter(({ url }) => !url.startsWith(`${origin}/console`));
    assert.deepEqual(
      elsewhere.filter(({ url }) => !url.startsWith('data:')),
      [],
    );
    assert.ok(seen.requests.length >= 5, 'page, style, scripts and state were asked for');
    assert.deepEqual(seen.complaints, []);
  });

  it('runs no script that is not its own, whatever a message holds', async () => {
    const evil = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';
    const degraded = { ...condition('Degraded', 'True', 'LoadFailed'), message: evil };
    gateway.backend.declared = [
      referenceModel({ metadata: { name: 'other' }, status: { conditions: [degraded] } }),
    ];
    await rowOf(page, 'rl/other').getByText('Failed', { exact: true }).waitFor();
    await rowOf(page, 'rl/other').click();
    await page.getByRole('dialog').getByText(evil).waitFor();

    const hacked = await inPage<boolean>(
      page,
      `const script = document.createElement('script');
      script.textContent = 'window.hacked = 1';
      document.body.append(script);
      'hacked' in window`,
    );

    assert.equal(hacked, false);
    assert.ok(seen.complaints.some((text) => text.includes('Content Security Policy')));
    gateway.backend.declared = [];
  });

  it('says that it has lost the gateway, and goes on when that is back', async () => {
    await page.getByText('live', { exact: true }).waitFor();
    await page.route('**/console/state', (route) => route.abort());
    await page.getByText('does not answer').waitFor();
    await page.unroute('**/console/state');

    await page.getByText('live', { exact: true }).waitFor();
  });
});
