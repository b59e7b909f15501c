// A real Chromium for the tests of the console: $CHROMIUM names it, scripts/chromium.sh finds or installs one.
import { type Browser, chromium, type Page } from 'playwright-core';

export type { Page } from 'playwright-core';
export const browserPath = process.env['CHROMIUM'];
export const whyNoBrowser = browserPath ? false : 'CHROMIUM names no browser: scripts/chromium.sh';

/** Tests run as root, where Chromium has no sandbox of its own. */
export const startBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });

export interface Seen {
  requests: { url: string; status?: number }[];
  /** What the page complains of: exceptions, and what its policy keeps it from. */
  complaints: string[];
}

/** Writes down what a page asks for and complains of. */
export function watch(page: Page): Seen {
  const seen: Seen = { requests: [], complaints: [] };
  page.on('request', (request) => seen.requests.push({ url: request.url() }));
  page.on('response', (response) => {
    const asked = seen.requests.findLast(({ url, status }) => url === response.url() && !status);
    if (asked) asked.status = response.status();
  });
  page.on('pageerror', (err) => seen.complaints.push(err.message));
  page.on('console', (message) => {
    if (message.type() === 'error') seen.complaints.push(message.text());
  });
  return seen;
}
