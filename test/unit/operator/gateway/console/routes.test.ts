import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createApp, finish, type Listening, listen } from '../../../../../common/http.ts';
import { silentLogger } from '../../../../../common/log.ts';
import type { ConsoleState } from '../../../../../operator/gateway/console/contract.ts';
import { addConsole, isConsolePath } from '../../../../../operator/gateway/console/routes.ts';
import { consoleState } from '../../../../../operator/gateway/console/state.ts';
import { FakeClock } from '../../../../support/clock.ts';
import { snapshot } from '../../../../support/console-kit.ts';
import { startGateway } from '../../../../support/gateway-kit.ts';

const strict =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

describe('the console over HTTP', () => {
  let listening: Listening;
  const clock = new FakeClock();
  let made = 0;
  let state: ConsoleState = consoleState(snapshot());
  const ask = (path: string, headers = {}) =>
    fetch(`http://127.0.0.1:${listening.port}${path}`, { headers });

  before(async () => {
    const app = createApp();
    const count = () => {
      made += 1;
      return state;
    };
    addConsole(app, { state: count, clock });
    finish(app, silentLogger);
    listening = await listen(app, 0, '127.0.0.1');
  });
  after(() => listening.close());

  it('serves page, style, scripts, error codes and state, each under the strict policy', async () => {
    const types = {
      '/console': 'text/html',
      '/console/': 'text/html',
      '/console/console.css': 'text/css',
      '/console/console.js': 'text/javascript',
      '/console/cards.js': 'text/javascript',
      '/console/elements.js': 'text/javascript',
      '/console/errors': 'text/html',
      '/console/state': 'application/json',
    };
    for (const [path, type] of Object.entries(types)) {
      const answer = await ask(path);

      assert.equal(answer.status, 200, path);
      assert.ok(answer.headers.get('content-type')?.startsWith(type), path);
      assert.equal(answer.headers.get('content-security-policy'), strict, path);
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff', path);
      assert.equal(isConsolePath(path), true, path);
      await answer.text();
    }
  });

  it('reads only, and has no other files', async () => {
    const url = `http://127.0.0.1:${listening.port}/console/state`;
    for (const method of ['POST', 'PUT', 'DELETE']) {
      assert.equal((await fetch(url, { method })).status, 404, method);
    }
    assert.equal((await ask('/console/routes.ts')).status, 404);
    assert.equal((await ask('/console/%2e%2e/routes.ts')).status, 404);
  });

  it('says "not modified" to who has the state already, and makes it twice a second at most', async () => {
    await clock.step(1000);
    const first = await ask('/console/state');
    const etag = first.headers.get('etag') ?? '';
    const before = made;
    const again = await Promise.all(
      Array.from({ length: 20 }, () => ask('/console/state', { 'if-none-match': etag })),
    );

    assert.deepEqual(new Set(again.map(({ status }) => status)), new Set([304]));
    assert.equal(made, before);

    state = { ...state, gateway: 'another' };
    await clock.step(1000);
    const changed = await ask('/console/state', { 'if-none-match': etag });
    assert.equal(changed.status, 200);
    assert.equal(((await changed.json()) as ConsoleState).gateway, 'another');
  });

  it('is no path of a model in a namespace of its name', () => {
    assert.equal(isConsolePath('/console/tiny/v1/logprobs'), false);
    assert.equal(isConsolePath('/console/state?x=1'), true);
  });
});

describe('the console of a gateway', () => {
  it('is on the admin port, and on that only', async () => {
    const gateway = await startGateway();
    const admin = await listen(gateway.gateway.admin, 0, '127.0.0.1');

    const answer = await fetch(`http://127.0.0.1:${admin.port}/console/state`);
    const onTraffic = await fetch(`${gateway.url}/console/state`);

    const { models } = (await answer.json()) as ConsoleState;
    assert.deepEqual(
      models.map(({ name }) => name),
      ['rl/tiny'],
    );
    assert.equal(onTraffic.status, 404);
    await onTraffic.text();
    await admin.close();
    await gateway.close();
  });

  it('is not there when it is switched off', async () => {
    const gateway = await startGateway({ hasConsole: false });
    const admin = await listen(gateway.gateway.admin, 0, '127.0.0.1');

    const answer = await fetch(`http://127.0.0.1:${admin.port}/console`);

    assert.equal(answer.status, 404);
    await answer.text();
    await admin.close();
    await gateway.close();
  });
});
