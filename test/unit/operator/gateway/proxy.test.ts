import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer as createHttpServer, type OutgoingHttpHeaders } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { AppError } from '../../../../common/errors.ts';
import { listen } from '../../../../common/http.ts';
import { Connections } from '../../../../operator/gateway/connections.ts';
import {
  type ExchangeOptions,
  type Outcome,
  Proxy,
  type ProxyRequest,
} from '../../../../operator/gateway/proxy.ts';
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

interface Sent {
  outcome: Outcome;
  /** What the client was given; undefined while that is nothing. */
  begun: { status: number; headers: OutgoingHttpHeaders } | undefined;
  body: string | undefined;
}

/** One exchange for a client of its own. Rejects with what the exchange throws. */
async function send(
  proxy: Proxy,
  pod: Pick<FakePod, 'endpoint'>,
  overrides: Partial<ProxyRequest> = {},
  options: Partial<Pick<ExchangeOptions, 'isRetry' | 'signal'>> = {},
): Promise<Sent> {
  let begun: Sent['begun'];
  let ended: Promise<Outcome> = Promise.reject(new Error('no request came'));
  ended.catch(() => {});
  const front = await listen(
    (_req, res) => {
      const begin: ExchangeOptions['begin'] = (status, headers) => {
        begun = { status, headers };
        return res.writeHead(status, headers);
      };
      const all = { isRetry: false, signal: never, ...options, begin };
      ended = proxy.exchange(request(overrides), pod.endpoint, all);
      ended.then(
        () => begun === undefined && res.destroy(),
        () => res.destroy(),
      );
    },
    0,
    '127.0.0.1',
  );
  const answer = fetch(`http://127.0.0.1:${front.port}`);
  const body = await answer.then((res) => res.text()).catch(() => undefined);
  front.server.closeAllConnections();
  await front.close();
  return { outcome: await ended, begun, body };
}

function proxyOf(connectTimeoutMs: number): Proxy & { close: () => void } {
  const connections = new Connections({ connectTimeoutMs });
  return Object.assign(new Proxy(connections), { close: () => connections.close() });
}

/** A proxy and a pod that end with the test. */
async function withPod(
  use: (proxy: Proxy, pod: FakePod) => Promise<void>,
  answer?: FakePod['answer'],
): Promise<void> {
  const proxy = proxyOf(3000);
  const pod = await FakePod.start(answer && { answer });
  try {
    await use(proxy, pod);
  } finally {
    proxy.close();
    await pod.close();
  }
}

describe('Proxy', () => {
  it('sends method, path and body, and names the model', () =>
    withPod(async (proxy, pod) => {
      const { outcome } = await send(proxy, pod);

      assert.equal(outcome.kind, 'Answered');
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
        const { begun, body } = await send(proxy, pod);

        assert.equal(begun?.status, 409);
        const headers = begun?.headers ?? {};
        assert.equal(headers['x-refmodel-digest'], 'sha256:1');
        assert.equal(headers['connection'], undefined);
        assert.equal(headers['keep-alive'], undefined);
        assert.equal(body, 'conflict');
      },
      (_request, res) => {
        res.writeHead(409, { 'x-refmodel-digest': 'sha256:1' }).end('conflict');
      },
    ));

  for (const code of ['SHUTTING_DOWN', 'NOT_READY']) {
    it(`takes 503 ${code} for being turned away`, () =>
      withPod(
        async (proxy, pod) => {
          const { outcome, begun } = await send(proxy, pod);

          assert.deepEqual([outcome.kind, begun], ['TurnedAway', undefined]);
        },
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
          const { begun, body: passed } = await send(proxy, pod);

          assert.equal(begun?.status, 503);
          assert.equal(passed, body);
        },
        (_request, res) => {
          res.writeHead(503, { 'content-length': body.length }).end(body);
        },
      ));
  }

  it('passes on neither hints that come before an answer nor the length of what has none', () =>
    withPod(
      async (proxy, pod) => {
        const { begun } = await send(proxy, pod, { method: 'HEAD', body: undefined });

        assert.deepEqual([begun?.status, begun?.headers['content-length']], [200, '5']);
      },
      (_request, res) => {
        res.writeEarlyHints({ link: '</a>; rel=preload' });
        res.writeHead(200, { 'content-length': 5 }).end();
      },
    ));

  it('sends a body with a method that has none as a rule', () =>
    withPod(async (proxy, pod) => {
      for (const method of ['GET', 'DELETE', 'PATCH']) await send(proxy, pod, { method });

      assert.deepEqual(
        pod.received.map(({ method, body }) => [method, body]),
        [
          ['GET', '{"a":1}'],
          ['DELETE', '{"a":1}'],
          ['PATCH', '{"a":1}'],
        ],
      );
    }));

  it('throws when the answer breaks off in the middle, and cuts the client off', () =>
    withPod(
      async (proxy, pod) => assert.rejects(send(proxy, pod)),
      (_request, res) => {
        res.writeHead(200, { 'content-length': 100 });
        res.write('half', () => res.destroy());
      },
    ));

  it('throws INVALID_REQUEST for a path that HTTP cannot carry, and blames no pod', () =>
    withPod(async (proxy, pod) => {
      const isInvalid = (err: unknown) => err instanceof AppError && err.code === 'INVALID_REQUEST';

      await assert.rejects(send(proxy, pod, { path: '/a b' }), isInvalid);
      assert.equal(pod.received.length, 0);
    }));

  it('is turned away by an address where nobody listens', async () => {
    const proxy = proxyOf(3000);
    const gone = await FakePod.start();
    await gone.close();

    assert.equal((await send(proxy, gone)).outcome.kind, 'TurnedAway');
    proxy.close();
  });

  it('is turned away when no connection opens in time', async () => {
    const proxy = proxyOf(30);
    const full = await fullBacklog();

    const { outcome } = await send(proxy, full);

    assert.equal(outcome.kind, 'TurnedAway');
    proxy.close();
    full.close();
  });

  it('sees that the pod broke when the connection ends before an answer', () =>
    withPod(
      async (proxy, pod) => assert.equal((await send(proxy, pod)).outcome.kind, 'Broke'),
      (_request, _res, req) => req.socket.destroy(),
    ));

  it('sees that the pod broke when a kept connection ends before an answer', () =>
    withPod(async (proxy, pod) => {
      await send(proxy, pod);
      pod.answer = (_request, _res, req) => req.socket.destroy();

      assert.equal((await send(proxy, pod)).outcome.kind, 'Broke');
    }));

  it('keeps connections, but takes a fresh one for a retry', async () => {
    const sockets = new Set<Socket>();
    const server = createHttpServer((req, res) => {
      sockets.add(req.socket);
      res.end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const proxy = proxyOf(3000);

    for (const isRetry of [false, false, true]) {
      await send(proxy, { endpoint: endpoint({ port }) }, {}, { isRetry });
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

      await assert.rejects(send(proxy, pod, {}, { signal: client.signal }), /client gone/);
      await left;
    }));

  it('sends nothing for a signal that has fired', () =>
    withPod(async (proxy, pod) => {
      const signal = AbortSignal.abort(new Error('late'));

      await assert.rejects(send(proxy, pod, {}, { signal }), /late/);
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
