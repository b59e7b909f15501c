import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../../../common/clock.ts';
import { fromKubeConfig } from '../../../../operator/kube/api-server.ts';
import { Transport } from '../../../../operator/kube/transport.ts';
import { never } from '../../../support/kube-kit.ts';

async function stage(listener: RequestListener, path = '') {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'c', server: `http://127.0.0.1:${port}${path}`, skipTLSVerify: true },
    { name: 'u', token: 'secret' },
  );
  const transport = new Transport({
    server: fromKubeConfig(config),
    clock: systemClock,
    timeoutMs: 5000,
    userAgent: 'test',
  });
  return {
    server,
    transport,
    [Symbol.dispose]() {
      transport.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

describe('Transport', () => {
  it('sends the credentials of the kubeconfig, under the path of its server', async () => {
    const seen: unknown[] = [];
    using t = await stage((req, res) => {
      seen.push(req.url, req.headers.authorization, req.headers['user-agent']);
      res.end('{}');
    }, '/proxy/');

    await t.transport.json(
      { method: 'GET', path: '/api', query: { a: 'b c', d: undefined } },
      never,
    );

    assert.deepEqual(seen, ['/proxy/api?a=b%20c', 'Bearer secret', 'test']);
  });

  it('uses a connection again, also after a body that a DELETE carried', async () => {
    const sockets = new Set<unknown>();
    const bodies: string[] = [];
    using t = await stage((req, res) => {
      sockets.add(req.socket);
      let body = '';
      req.on('data', (chunk) => {
        body += String(chunk);
      });
      req.on('end', () => {
        bodies.push(body);
        res.end('{}');
      });
    });

    await t.transport.json({ method: 'DELETE', path: '/a', body: { x: 1 } }, never);
    await t.transport.json({ method: 'GET', path: '/a' }, never);

    assert.equal(sockets.size, 1);
    assert.deepEqual(bodies, ['{"x":1}', '']);
  });

  it('sends once more what met a connection that the server had closed', async () => {
    let count = 0;
    using t = await stage((req, res) => {
      count += 1;
      if (count === 2) req.socket.destroy();
      else res.end('{"ok":true}');
    });
    await t.transport.json({ method: 'GET', path: '/a' }, never);

    const answer = await t.transport.json({ method: 'PUT', path: '/a', body: {} }, never);

    assert.deepEqual(answer, { ok: true });
    assert.equal(count, 3);
  });

  it('takes an answer that is no JSON for broken, and the words of a proxy for the message', async () => {
    using t = await stage((req, res) => {
      res.writeHead(req.url === '/bad' ? 200 : 502).end('no upstream');
    });

    await assert.rejects(t.transport.json({ method: 'GET', path: '/bad' }, never), {
      code: 'KUBERNETES_API',
      reason: 'Malformed',
    });
    await assert.rejects(t.transport.json({ method: 'GET', path: '/x' }, never), {
      code: 'KUBERNETES_API',
      apiStatus: 502,
    });
  });

  it('notices an answer that breaks off', async () => {
    using t = await stage((_req, res) => {
      res.writeHead(200, { 'content-length': 100 }).write('{');
      setImmediate(() => res.destroy());
    });

    await assert.rejects(t.transport.json({ method: 'GET', path: '/a' }, never), {
      apiStatus: 0,
      reason: 'Unreachable',
    });
  });
});
