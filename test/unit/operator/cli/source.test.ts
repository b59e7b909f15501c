import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../../../common/clock.ts';
import { openSource, refusal } from '../../../../operator/cli/source.ts';
import { consoleState } from '../../../../operator/gateway/console/state.ts';
import { snapshot } from '../../../support/console-kit.ts';

const never = new AbortController().signal;
const state = JSON.stringify(consoleState(snapshot()));
const refused = JSON.stringify({ error: { code: 'QUEUE_FULL', message: 'too many' } });

describe('a gateway by its address', () => {
  const asked: string[] = [];
  const tokens: (string | undefined)[] = [];
  const server = createServer((req: IncomingMessage, res) => {
    asked.push(`${req.method} ${req.url}`);
    tokens.push(req.headers.authorization);
    const isState = req.url === '/console/state';
    res.statusCode = isState ? 200 : 503;
    if (isState) res.end(state);
    else res.end(req.url === '/refused' ? refused : 'not ours');
  });
  const options = {
    namespace: undefined,
    token: undefined,
    context: undefined,
    system: 'x',
    clock: systemClock,
  };
  const source = () => {
    const { port } = server.address() as AddressInfo;
    return openSource({ ...options, url: `http://127.0.0.1:${port}/` });
  };
  before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  after(() => server.close());

  it('tells its state', async () => {
    assert.equal((await (await source()).state(never)).models[0]?.name, 'rl/tiny');
    assert.equal(asked.at(-1), 'GET /console/state');
  });

  it('refuses in its own words, whoever else answers in ours', async () => {
    const gateway = await source();
    const send = (path: string) => gateway.send({ method: 'PUT', path }, never);

    await assert.rejects(send('/refused'), { code: 'QUEUE_FULL', message: 'too many' });
    await assert.rejects(send('/other'), { code: 'UPSTREAM_FAILED' });
    assert.equal(
      refusal('x', 500, '{"error":{"code":"nope","message":"x"}}').code,
      'UPSTREAM_FAILED',
    );
  });

  it('gets the token that is given, and none otherwise', async () => {
    const { port } = server.address() as AddressInfo;
    const known = await openSource({ ...options, url: `http://127.0.0.1:${port}`, token: 'a.b.c' });

    await known.state(never);
    await (await source()).state(never);

    assert.deepEqual(tokens.slice(-2), ['Bearer a.b.c', undefined]);
  });

  it('says when nobody answers', async () => {
    const nobody = await openSource({ ...options, url: 'http://127.0.0.1:1' });

    await assert.rejects(nobody.state(never), { code: 'UPSTREAM_FAILED' });
  });
});
