import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { type Answer, Proxy, type ProxyRequest } from '../../../../operator/gateway/proxy.ts';
import { endpoint, FakePod, sendJson } from '../../../support/gateway-kit.ts';

const never = new AbortController().signal;

const request = (overrides: Partial<ProxyRequest> = {}): ProxyRequest => ({
  method: 'POST',
  path: '/v1/logprobs?x=1',
  headers: { 'content-type': 'application/json' },
  body: Buffer.from('{"a":1}'),
  model: 'rl/tiny',
  ...overrides,
});

const bodyOf = async ({ body }: Answer): Promise<string> =>
  Buffer.isBuffer(body) ? body.toString('utf8') : text(body);

/** A proxy and a pod that end with the test. */
async function withPod(
  use: (proxy: Proxy, pod: FakePod) => Promise<void>,
  answer?: FakePod['answer'],
): Promise<void> {
  const proxy = new Proxy({ connectTimeoutMs: 3000 });
  const pod = await FakePod.start(answer && { answer });
  try {
    await use(proxy, pod);
  } finally {
    proxy.close();
    await pod.close();
  }
}

const send = (proxy: Proxy, pod: FakePod, overrides: Partial<ProxyRequest> = {}) =>
  proxy.exchange(request(overrides), pod.endpoint, { isRetry: false, signal: never });

describe('Proxy', () => {
  it('sends method, path and body, and names the model', () =>
    withPod(async (proxy, pod) => {
      const exchange = await send(proxy, pod);

      assert.equal(exchange.kind, 'Answered');
      const [received] = pod.received;
      assert.equal(received?.method, 'POST');
      assert.equal(received?.url, '/v1/logprobs?x=1');
      assert.equal(received?.body, '{"a":1}');
      assert.equal(received?.headers['x-refmodel-model'], 'rl/tiny');
      assert.equal(received?.headers.host, `127.0.0.1:${pod.endpoint.port}`);
    }));

  it('tells the pod whose request it is', () =>
    withPod(async (proxy, pod) => {
      await send(proxy, pod, { caller: 'grpo-3' });

      assert.equal(pod.received[0]?.headers['x-refmodel-run'], 'grpo-3');
    }));

  it('drops headers of the connection, those it names, and ours that a client made up', () =>
    withPod(async (proxy, pod) => {
      const headers = {
        connection: 'keep-alive, X-Secret',
        'x-secret': '1',
        'keep-alive': 'timeout=5',
        te: 'trailers',
        upgrade: 'h2c',
        expect: '100-continue',
        'proxy-authorization': 'Basic x',
        'transfer-encoding': 'chunked',
        'content-length': '999',
        'x-refmodel-model': 'other/model',
        'x-refmodel-hold-timeout-ms': '5',
        'x-refmodel-run': 'mine',
        'x-kept': 'yes',
      };

      await send(proxy, pod, { headers });

      const received = pod.received[0]?.headers ?? {};
      const dropped = ['x-secret', 'keep-alive', 'te', 'upgrade', 'expect', 'proxy-authorization'];
      for (const name of [
        ...dropped,
        'transfer-encoding',
        'x-refmodel-hold-timeout-ms',
        'x-refmodel-run',
      ]) {
        assert.equal(received[name], undefined, name);
      }
      assert.equal(received['content-length'], '7');
      assert.equal(received['x-refmodel-model'], 'rl/tiny');
      assert.equal(received['x-kept'], 'yes');
    }));

  it('passes status, headers and body of the answer on, without those of the connection', () =>
    withPod(
      async (proxy, pod) => {
        const exchange = await send(proxy, pod);

        assert.ok(exchange.kind === 'Answered');
        const { status, headers } = exchange.answer;
        assert.equal(status, 409);
        assert.equal(headers['x-refmodel-digest'], 'sha256:1');
        assert.equal(headers['connection'], undefined);
        assert.equal(headers['keep-alive'], undefined);
        assert.equal(await bodyOf(exchange.answer), 'conflict');
      },
      (_request, res) => {
        res.writeHead(409, { 'x-refmodel-digest': 'sha256:1' }).end('conflict');
      },
    ));

  for (const code of ['SHUTTING_DOWN', 'NOT_READY']) {
    it(`takes 503 ${code} for being turned away`, () =>
      withPod(
        async (proxy, pod) => assert.equal((await send(proxy, pod)).kind, 'TurnedAway'),
        (_request, res) => sendJson(res, 503, { error: { code, message: 'x' } }),
      ));
  }

  const otherAnswers = {
    'another code': '{"error":{"code":"CACHE_FULL","message":"x"}}',
    'no JSON': 'busy',
    'other JSON': '[]',
  };
  for (const [name, body] of Object.entries(otherAnswers)) {
    it(`passes a 503 with ${name} on as it is`, () =>
      withPod(
        async (proxy, pod) => {
          const exchange = await send(proxy, pod);

          assert.ok(exchange.kind === 'Answered');
          assert.equal(exchange.answer.status, 503);
          assert.equal(await bodyOf(exchange.answer), body);
        },
        (_request, res) => {
          res.writeHead(503, { 'content-length': body.length }).end(body);
        },
      ));
  }

  it('is turned away by an address where nobody listens', async () => {
    const proxy = new Proxy({ connectTimeoutMs: 3000 });
    const gone = await FakePod.start();
    await gone.close();

    assert.equal((await send(proxy, gone)).kind, 'TurnedAway');
    proxy.close();
  });

  it('is turned away when no connection opens in time', async () => {
    const proxy = new Proxy({ connectTimeoutMs: 30 });
    const full = await fullBacklog();

    const exchange = await proxy.exchange(request(), full.endpoint, {
      isRetry: false,
      signal: never,
    });

    assert.equal(exchange.kind, 'TurnedAway');
    proxy.close();
    full.close();
  });

  it('sees that the pod broke when the connection ends before an answer', () =>
    withPod(
      async (proxy, pod) => assert.equal((await send(proxy, pod)).kind, 'Broke'),
      (_request, _res, req) => req.socket.destroy(),
    ));

  it('sees that the pod broke when a kept connection ends before an answer', () =>
    withPod(async (proxy, pod) => {
      const first = await send(proxy, pod);
      assert.ok(first.kind === 'Answered');
      await bodyOf(first.answer);
      pod.answer = (_request, _res, req) => req.socket.destroy();

      assert.equal((await send(proxy, pod)).kind, 'Broke');
    }));

  it('keeps connections, but takes a fresh one for a retry', async () => {
    const sockets = new Set<Socket>();
    const server = createHttpServer((req, res) => {
      sockets.add(req.socket);
      res.end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const proxy = new Proxy({ connectTimeoutMs: 3000 });

    for (const isRetry of [false, false, true]) {
      const options = { isRetry, signal: never };
      const exchange = await proxy.exchange(request(), endpoint({ port }), options);
      assert.ok(exchange.kind === 'Answered');
      await bodyOf(exchange.answer);
    }

    assert.equal(sockets.size, 2);
    proxy.close();
    server.close();
  });

  it("throws the signal's reason, and the pod sees the client go", () =>
    withPod(async (proxy, pod) => {
      const client = new AbortController();
      const left = new Promise<void>((resolve) => {
        pod.answer = (_request, res) => {
          res.once('close', resolve);
          client.abort(new Error('client gone'));
        };
      });

      const options = { isRetry: false, signal: client.signal };
      await assert.rejects(proxy.exchange(request(), pod.endpoint, options), /client gone/);
      await left;
    }));

  it('sends nothing for a signal that has fired', () =>
    withPod(async (proxy, pod) => {
      const options = { isRetry: false, signal: AbortSignal.abort(new Error('late')) };

      await assert.rejects(proxy.exchange(request(), pod.endpoint, options), /late/);
      assert.equal(pod.received.length, 0);
    }));
});

/** A listener that accepts nothing more: its backlog is full, so connections neither open nor fail. */
async function fullBacklog() {
  const script =
    'const s=require("net").createServer().listen(0,"127.0.0.1",1,()=>{process.stdout.write(String(s.address().port)+"\\n");Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0)})';
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())));
  });
  const fillers = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  return {
    endpoint: endpoint({ port }),
    close() {
      for (const filler of fillers) filler.destroy();
      child.kill('SIGKILL');
    },
  };
}
