import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import express, { type Express } from 'express';
import { Registry } from 'prom-client';
import { ClientGoneError } from '../../../common/abort.ts';
import { AppError, type ErrorBody } from '../../../common/errors.ts';
import { addHealth, clientSignal, createApp, finish, listen } from '../../../common/http.ts';
import { silentLogger } from '../../../common/log.ts';

async function serving(build: (app: Express) => void, test: (url: string) => Promise<void>) {
  const app = createApp();
  build(app);
  finish(app, silentLogger);
  const listening = await listen(app, 0, '127.0.0.1');
  try {
    await test(`http://127.0.0.1:${listening.port}`);
  } finally {
    await listening.close();
  }
}

const errorOf = async (response: Response) => ((await response.json()) as ErrorBody).error;

describe('the HTTP edge', () => {
  it('echoes a request id that is well formed and makes one otherwise', () =>
    serving(
      (app) => app.get('/', (_req, res) => void res.send('ok')),
      async (url) => {
        const given = await fetch(url, { headers: { 'x-request-id': 'abc-1' } });
        const made = await fetch(url, { headers: { 'x-request-id': 'a b<script>' } });

        assert.equal(given.headers.get('x-request-id'), 'abc-1');
        assert.match(made.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
      },
    ));

  it('answers health always, and readiness as it is', () => {
    let isReady = false;
    return serving(
      (app) => addHealth(app, { isReady: () => isReady }, new Registry()),
      async (url) => {
        assert.equal((await fetch(`${url}/healthz`)).status, 200);
        const unready = await fetch(`${url}/readyz`);
        assert.equal(unready.status, 503);
        assert.equal((await errorOf(unready)).code, 'NOT_READY');
        isReady = true;
        assert.equal((await fetch(`${url}/readyz`)).status, 200);
        assert.equal((await fetch(`${url}/metrics`)).status, 200);
      },
    );
  });

  it('turns every failure into its code: unknown route, bad JSON, large body, defect, later', () =>
    serving(
      (app) => {
        app.post('/echo', express.json({ limit: 100 }), (req, res) => void res.json(req.body));
        app.get('/defect', () => {
          throw new TypeError('secret');
        });
        app.get('/later', () => {
          throw new AppError('QUEUE_FULL', 'full', { retryAfterSeconds: 7 });
        });
      },
      async (url) => {
        const post = (body: string, headers = {}) =>
          fetch(`${url}/echo`, {
            method: 'POST',
            body,
            headers: { 'content-type': 'application/json', ...headers },
          });
        const cases: [Promise<Response>, number, string][] = [
          [fetch(`${url}/nowhere`), 404, 'ROUTE_NOT_FOUND'],
          [post('{"a":'), 400, 'MALFORMED_JSON'],
          [post(JSON.stringify('x'.repeat(200))), 413, 'BODY_TOO_LARGE'],
          [post('{}', { 'content-encoding': 'rot13' }), 415, 'UNSUPPORTED_MEDIA_TYPE'],
          [fetch(`${url}/defect`), 500, 'INTERNAL'],
          [fetch(`${url}/later`), 503, 'QUEUE_FULL'],
        ];
        for (const [answer, status, code] of cases) {
          const response = await answer;
          assert.equal(response.status, status, code);
          assert.equal((await errorOf(response)).code, code);
        }
        assert.equal((await fetch(`${url}/later`)).headers.get('retry-after'), '7');
      },
    ));

  it('tells a handler that its client has left', async () => {
    let gone: Promise<unknown> = Promise.resolve();
    await serving(
      (app) =>
        app.get('/slow', (_req, res) => {
          const signal = clientSignal(res);
          gone = once(signal, 'abort').then(() => signal.reason as unknown);
          res.write('start');
        }),
      async (url) => {
        const controller = new AbortController();
        const response = await fetch(`${url}/slow`, { signal: controller.signal });
        controller.abort();
        await assert.rejects(response.text());
        assert.ok((await gone) instanceof ClientGoneError);
      },
    );
  });

  it('closes while a client keeps its connection alive', async () => {
    const app = createApp();
    app.get('/', (_req, res) => void res.send('ok'));
    finish(app, silentLogger);
    const listening = await listen(app, 0, '127.0.0.1');
    const agent = new Agent({ keepAlive: true });
    const call = request({ agent, port: listening.port, host: '127.0.0.1' });
    call.end();
    const [response] = (await once(call, 'response')) as [{ resume(): void }];
    response.resume();
    await once(call, 'close');

    await listening.close();

    agent.destroy();
  });

  it('closes while a client holds a connection on which it never sent anything', async () => {
    const app = createApp();
    finish(app, silentLogger);
    const listening = await listen(app, 0, '127.0.0.1');
    const socket = connect(listening.port, '127.0.0.1');
    await once(socket, 'connect');

    await listening.close();

    socket.destroy();
  });
});
