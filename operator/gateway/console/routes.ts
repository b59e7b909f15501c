// The console over HTTP: a page of a few files, its data, and what to do about each error code. It only reads.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Express, Request, Response } from 'express';
import type { Clock } from '../../../common/clock.ts';
import type { ConsoleState } from './contract.ts';
import { errorsPage } from './errors-page.ts';

export interface ConsoleOptions {
  state: () => ConsoleState;
  clock: Clock;
}

/** However many look, the state is made this often at most. Milliseconds. */
const freshMs = 500;

const folder = join(import.meta.dirname, 'page');
const files = {
  '/console': { file: 'index.html', type: 'text/html' },
  '/console/console.css': { file: 'console.css', type: 'text/css' },
  '/console/console.js': { file: 'console.js', type: 'text/javascript' },
  '/console/cards.js': { file: 'cards.js', type: 'text/javascript' },
  '/console/elements.js': { file: 'elements.js', type: 'text/javascript' },
} as const;

/** Nothing from elsewhere, nothing inline, in nobody's frame. */
const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-cache',
} as const;

/** One body, and what tells it from another. */
interface Page {
  type: string;
  body: string;
  etag: string;
}

export function addConsole(app: Express, { state, clock }: ConsoleOptions): void {
  for (const [path, { file, type }] of Object.entries(files)) {
    const page = pageOf(type, readFileSync(join(folder, file), 'utf8'));
    app.get(path, (req, res) => send(req, res, page));
  }
  const errors = pageOf('text/html', errorsPage());
  app.get('/console/errors', (req, res) => send(req, res, errors));

  let last: { at: number; page: Page } | undefined;
  app.get('/console/state', (req, res) => {
    if (!last || clock.now() - last.at >= freshMs) {
      last = { at: clock.now(), page: pageOf('application/json', JSON.stringify(state())) };
    }
    send(req, res, last.page);
  });
}

const paths = new Set([...Object.keys(files), '/console/', '/console/errors', '/console/state']);

/** The console's own paths, and none of a namespace of that name. */
export const isConsolePath = (url: string): boolean => paths.has(url.split('?', 1)[0] ?? '');

const pageOf = (type: string, body: string): Page => ({
  type,
  body,
  etag: `"${createHash('sha256').update(body).digest('base64url')}"`,
});

function send(req: Request, res: Response, { type, body, etag }: Page): void {
  res.set(headers).set('etag', etag);
  if (req.get('if-none-match') === etag) res.status(304).end();
  else res.type(type).send(body);
}
