import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  codeOf,
  endpoint,
  eventually,
  FakePod,
  model,
  sendJson,
  startGateway,
} from '../../../support/gateway-kit.ts';

const breakOff: FakePod['answer'] = (_request, _res, req) => req.socket.destroy();
const turnAway: FakePod['answer'] = (_request, res) =>
  sendJson(res, 503, { error: { code: 'SHUTTING_DOWN', message: 'x' } });
const ok: FakePod['answer'] = (_request, res) => sendJson(res, 200, { ok: true });

describe('forwarding', () => {
  it('tells nothing about holding when nothing was held', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start();
    gateway.backend.up(pod.endpoint);

    const response = await gateway.send('/v1/logprobs');

    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-refmodel-held-ms'), null);
    assert.deepEqual(await response.json(), { pod: 'pod-a', model: 'rl/tiny' });
    await gateway.close();
    await pod.close();
  });

  it('tells a held client how long it was held', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start();
    gateway.backend.onWake = () => setImmediate(() => gateway.backend.up(pod.endpoint)) as never;

    const response = await gateway.send('/v1/logprobs');

    assert.equal(response.status, 200);
    assert.match(response.headers.get('server-timing') ?? 'hold;dur=0', /^hold;dur=\d+$/);
    assert.equal(gateway.backend.wakes.length, 1);
    await gateway.close();
    await pod.close();
  });

  it('sends the request elsewhere, body and all, when the pod breaks before it answers', async () => {
    const gateway = await startGateway();
    const pods = [await FakePod.start({ id: 'a' }), await FakePod.start({ id: 'b' })];
    let isFirst = true;
    for (const pod of pods) {
      pod.answer = (request, res, req) => {
        (isFirst ? breakOff : ok)(request, res, req);
        isFirst = false;
      };
      gateway.backend.up(pod.endpoint);
    }

    const response = await gateway.send('/v1/logprobs', { body: '{"n":1}' });

    assert.equal(response.status, 200);
    assert.deepEqual(
      pods.map((pod) => pod.received.map(({ body }) => body)),
      [['{"n":1}'], ['{"n":1}']],
    );
    await gateway.close();
    await Promise.all(pods.map((pod) => pod.close()));
  });

  it('sends a request that breaks two pods to no third: UPSTREAM_FAILED with Retry-After', async () => {
    const gateway = await startGateway();
    const pods = await Promise.all(
      ['a', 'b', 'c'].map((id) => FakePod.start({ id, answer: breakOff })),
    );
    for (const pod of pods) gateway.backend.up(pod.endpoint);

    const response = await gateway.send('/v1/logprobs');

    assert.equal(response.status, 503);
    assert.equal(await codeOf(response), 'UPSTREAM_FAILED');
    assert.ok(Number(response.headers.get('retry-after')) >= 1);
    assert.equal(pods.flatMap(({ received }) => received).length, 2);
    await gateway.close();
    await Promise.all(pods.map((pod) => pod.close()));
  });

  it('goes back into the hold when the only pod turns it away, and is served by the next', async () => {
    const gateway = await startGateway();
    const leaving = await FakePod.start({ id: 'a', answer: turnAway });
    const next = await FakePod.start({ id: 'b', answer: ok });
    gateway.backend.up(leaving.endpoint);
    gateway.backend.onWake = () => {
      gateway.backend.down(leaving.endpoint);
      gateway.backend.up(next.endpoint);
    };

    const response = await gateway.send('/v1/logprobs');

    assert.equal(response.status, 200);
    assert.deepEqual([leaving.received.length, next.received.length], [1, 1]);
    await gateway.close();
    await leaving.close();
    await next.close();
  });

  it('waits for a pod that is ready by name before it listens, however often it refuses', async () => {
    const gateway = await startGateway();
    const reserved = await FakePod.start();
    const { port } = reserved.endpoint;
    await reserved.close();
    gateway.backend.up(endpoint({ port }));
    const response = gateway.send('/v1/logprobs');
    await eventually(() => gateway.backend.wakes.length > 0, 'held');

    const pod = await FakePod.start({ port });

    assert.equal((await response).status, 200);
    await gateway.close();
    await pod.close();
  });

  it('spends one hold budget over all waits of a request', async () => {
    const gateway = await startGateway({ settings: { holdTimeoutMs: 300 } });
    const pod = await FakePod.start({ answer: turnAway });
    gateway.backend.up(pod.endpoint);

    const response = await gateway.send('/v1/logprobs');

    assert.equal(await codeOf(response), 'WAKE_TIMEOUT');
    assert.ok(pod.received.length >= 2);
    await gateway.close();
    await pod.close();
  });

  it('passes the error of a pod on without trying again', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start({
      answer: (_request, res) =>
        sendJson(res, 500, { error: { code: 'LOAD_FAILED', message: 'x' } }),
    });
    gateway.backend.up(pod.endpoint);

    const response = await gateway.send('/v1/logprobs');

    assert.equal(response.status, 500);
    assert.equal(await codeOf(response), 'LOAD_FAILED');
    assert.equal(pod.received.length, 1);
    await gateway.close();
    await pod.close();
  });

  describe('of a model that is too large for its class', () => {
    const tooLarge: FakePod['answer'] = (_request, res) =>
      sendJson(res, 500, { error: { code: 'MODEL_TOO_LARGE', message: 'needs 5 GiB' } });
    const small = model({ pool: 'rl/rfm-pool-small', hasLarger: true });
    const large = model({ pool: 'rl/rfm-pool-large', hasLarger: false });

    async function stage(pool = large.pool) {
      const gateway = await startGateway({ models: [small], settings: { holdTimeoutMs: 20_000 } });
      const first = await FakePod.start({ id: 'a', pool: small.pool, answer: tooLarge });
      const next = await FakePod.start({ id: 'b', pool, answer: ok });
      gateway.backend.up(first.endpoint);
      return { gateway, first, next };
    }

    it('is held, and answered by a pod of the next larger class', async () => {
      const { gateway, first, next } = await stage();
      gateway.backend.onWake = () => gateway.backend.up(next.endpoint);
      const response = gateway.send('/v1/logprobs');
      await eventually(() => gateway.gateway.report().models[0]?.held === 1, 'held');

      gateway.backend.set(large);

      assert.equal((await response).status, 200);
      assert.deepEqual([first.received.length, next.received.length], [1, 1]);
      assert.deepEqual(gateway.backend.wakes, [large.pool]);
      await gateway.close();
      await first.close();
      await next.close();
    });

    it('is answered by the pod that takes the place of the first, where it has pods of its own', async () => {
      const { gateway, first, next } = await stage(small.pool);
      const response = gateway.send('/v1/logprobs');
      await eventually(() => gateway.gateway.report().models[0]?.held === 1, 'held');

      gateway.backend.up(next.endpoint);

      assert.equal((await response).status, 200);
      assert.deepEqual([first.received.length, next.received.length], [1, 1]);
      await gateway.close();
      await first.close();
      await next.close();
    });

    it('is told so at once where no larger class follows', async () => {
      const { gateway, first, next } = await stage();
      gateway.backend.set(model({ pool: small.pool, hasLarger: false }));

      const response = await gateway.send('/v1/logprobs');

      assert.deepEqual([response.status, await codeOf(response)], [500, 'MODEL_TOO_LARGE']);
      await gateway.close();
      await first.close();
      await next.close();
    });
  });

  it('answers WORK_TIMEOUT when the pod takes longer than the work budget, and stops it', async () => {
    const gateway = await startGateway({ settings: { workTimeoutMs: 50 } });
    let hasLeft = false;
    const pod = await FakePod.start({
      answer: (_request, res) =>
        res.once('close', () => {
          hasLeft = true;
        }),
    });
    gateway.backend.up(pod.endpoint);

    const response = await gateway.send('/v1/logprobs');

    assert.deepEqual([response.status, await codeOf(response)], [503, 'WORK_TIMEOUT']);
    await eventually(() => hasLeft);
    await gateway.close();
    await pod.close();
  });

  it('stops the pod when the client leaves, and does not count it as in flight any more', async () => {
    const gateway = await startGateway();
    const client = new AbortController();
    let hasLeft = false;
    const pod = await FakePod.start({
      answer: (_request, res) => {
        res.once('close', () => {
          hasLeft = true;
        });
        client.abort();
      },
    });
    gateway.backend.up(pod.endpoint);

    await assert.rejects(gateway.send('/v1/logprobs', { signal: client.signal }));

    await eventually(() => hasLeft);
    await eventually(() => gateway.gateway.report().models.every(({ inFlight }) => inFlight === 0));
    await gateway.close();
    await pod.close();
  });

  it('drops the client when the pod breaks in the middle of an answer', async () => {
    const gateway = await startGateway();
    const pod = await FakePod.start({
      answer: (_request, res) => {
        res.writeHead(200, { 'content-length': 100 });
        res.write('half');
        setImmediate(() => res.destroy());
      },
    });
    gateway.backend.up(pod.endpoint);

    await assert.rejects(async () => (await gateway.send('/v1/logprobs')).text());

    assert.equal(pod.received.length, 1);
    await gateway.close();
    await pod.close();
  });

  it('streams an answer as it comes', async () => {
    const gateway = await startGateway();
    let finish = () => {};
    const pod = await FakePod.start({
      answer: (_request, res) => {
        res.write('first ');
        finish = () => res.end('second');
      },
    });
    gateway.backend.up(pod.endpoint);

    const response = await gateway.send('/v1/logprobs');
    const reader = response.body?.getReader();
    const first = await reader?.read();
    finish();
    const second = await reader?.read();

    const decode = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString('utf8');
    assert.deepEqual([decode(first?.value), decode(second?.value)], ['first ', 'second']);
    await gateway.close();
    await pod.close();
  });

  it('reads no faster from the pod than the client reads', async () => {
    const gateway = await startGateway();
    const total = 64 * 2 ** 20;
    let written = 0;
    const pod = await FakePod.start({
      answer: (_request, res) => {
        const chunk = Buffer.alloc(2 ** 20);
        const more = () => {
          while (written < total) {
            written += chunk.length;
            if (!res.write(chunk)) {
              res.once('drain', more);
              return;
            }
          }
          res.end();
        };
        more();
      },
    });
    gateway.backend.up(pod.endpoint);

    const response = await gateway.send('/v1/logprobs');
    const reader = response.body?.getReader();
    await reader?.read();
    const before = await stable(() => written);
    await reader?.cancel();

    assert.ok(before < total / 2, `${before} bytes were taken from the pod`);
    await gateway.close();
    await pod.close();
  });
});

/** The value once it has stopped moving. */
async function stable(read: () => number): Promise<number> {
  let last = -1;
  let same = 0;
  await eventually(() => {
    same = read() === last ? same + 1 : 0;
    last = read();
    return same >= 10;
  });
  return last;
}
