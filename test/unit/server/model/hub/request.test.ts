import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { HubClient } from '../../../../../server/model/hub/request.ts';
import type { HubSettings } from '../../../../../server/model/hub/settings.ts';
import { HastyClock, neverAborted, settingsFor } from '../../../../support/hub-kit.ts';
import { filesOf, HubServer } from '../../../../support/hub-server.ts';

const files = filesOf('test/golden/llama');
const weightsPath = '/a/b/resolve/main/model.safetensors';
const what = 'a file';

const clientOf = (server: { endpoint: string }, change: Partial<HubSettings> = {}) =>
  new HubClient(settingsFor(server, change), new HastyClock());

describe('HubClient', () => {
  it('shows the token to the hub, and never to its storage', async () => {
    await using server = await HubServer.start({ 'a/b': { files, readers: ['secret'] } });
    await using client = clientOf(server, { token: 'secret' });

    const answer = await client.get(weightsPath, { what }, neverAborted);

    answer.body.destroy();
    assert.equal(answer.status, 200);
    assert.deepEqual(
      server.requests.map(({ at, authorization }) => [at, authorization]),
      [
        ['resolve', 'Bearer secret'],
        ['storage', undefined],
      ],
    );
  });

  it('keeps headers over a redirect', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });
    await using client = clientOf(server);

    const headers = { range: 'bytes=8-' };
    const answer = await client.get(weightsPath, { what, headers }, neverAborted);

    answer.body.destroy();
    assert.equal(answer.status, 206);
  });

  it('follows a redirect to another path of the hub with the token: repositories are renamed', async () => {
    await using server = await HubServer.start({ 'a/b': { files, readers: ['secret'] } });
    await using client = clientOf(server, { token: 'secret' });
    const location = '/a/b/resolve/main/config.json';
    server.fault({ at: 'resolve', file: 'old', status: 307, headers: { location } });

    const { body } = await client.get('/old/name/resolve/main/config.json', { what }, neverAborted);

    assert.equal(await text(body), String(files['config.json']));
  });

  it('does not follow redirects for ever, nor to what is no address', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });
    await using client = clientOf(server);
    const circle = { location: '/a/b/resolve/main/config.json' };
    server.fault({ at: 'resolve', times: 10, status: 302, headers: circle });
    server.fault({ at: 'list', status: 302, headers: { location: 'http://' } });

    for (const address of ['/a/b/resolve/main/config.json', '/api/models/a/b/revision/main']) {
      const lost = client.get(address, { what }, neverAborted);

      await assert.rejects(lost, { code: 'HUB_ANSWER_INVALID' });
    }
  });

  it('says of an answer of the storage that it may pass, and nothing of its signed address', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });
    await using client = clientOf(server);
    server.fault({ at: 'storage', status: 403 });

    const failed = client.get(weightsPath, { what }, neverAborted);

    await assert.rejects(failed, (err: Error & { code?: string }) => {
      assert.equal(err.code, 'HUB_UNREACHABLE');
      assert.doesNotMatch(err.message, /s3cret/);
      return true;
    });
  });

  it('says HUB_UNREACHABLE when nobody listens', async () => {
    const server = await HubServer.start({});
    const { endpoint } = server;
    await server[Symbol.asyncDispose]();
    await using client = clientOf({ endpoint });

    await assert.rejects(client.get('/x', { what }, neverAborted), { code: 'HUB_UNREACHABLE' });
  });

  it('rejects with the reason of the signal', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });
    await using client = clientOf(server);
    const reason = new Error('given up');

    await assert.rejects(client.get('/x', { what }, AbortSignal.abort(reason)), reason);
  });

  it('goes through the proxy, but for the hosts that need none', async () => {
    await using server = await HubServer.start({ 'a/b': { files } });
    await using proxy = await startProxy();
    const proxies = { http: proxy.url, https: '', except: '' };
    await using through = clientOf(server, { proxies });
    await using around = clientOf(server, { proxies: { ...proxies, except: '127.0.0.1' } });

    for (const client of [through, around]) {
      const answer = await client.get('/a/b/resolve/main/config.json', { what }, neverAborted);
      await text(answer.body);
    }

    assert.deepEqual(proxy.targets, [new URL(server.endpoint).host]);
  });
});

/** Tunnels, as proxies do for CONNECT. */
async function startProxy(): Promise<AsyncDisposable & { url: string; targets: string[] }> {
  const targets: string[] = [];
  const proxy = createServer();
  proxy.on('connect', (req, socket) => {
    targets.push(req.url ?? '');
    const [host, port] = (req.url ?? '').split(':');
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    for (const end of [socket, upstream]) end.on('error', () => upstream.destroy());
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    targets,
    [Symbol.asyncDispose]: async () => {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
