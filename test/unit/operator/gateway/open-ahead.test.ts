import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { OpenAhead } from '../../../../operator/gateway/open-ahead.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import {
  endpoint,
  eventually,
  FakeBackend,
  FakePod,
  startGateway,
} from '../../../support/gateway-kit.ts';

/** One over a pod that a test moves; what it opens is written down. */
function ahead(waiting: () => number, open: () => Promise<void> = async () => {}) {
  const backend = new FakeBackend();
  const clock = new FakeClock();
  const counts: number[] = [];
  const made = new OpenAhead({
    backend,
    waiting,
    open: async (_address, count) => {
      counts.push(count);
      await open();
    },
    clock,
    log: silentLogger,
  });
  return { backend, clock, counts, made };
}

describe('OpenAhead', () => {
  it('opens as many connections as requests wait, again when there are more', async () => {
    let waiting = 3;
    const { backend, clock, counts, made } = ahead(() => waiting);

    backend.announce(endpoint());
    await settle();
    waiting = 7;
    await clock.step(300);

    assert.deepEqual([counts[0], counts.at(-1)], [3, 7]);
    await made.close();
  });

  it('leaves a pod alone that nobody waits for', async () => {
    const { backend, clock, counts, made } = ahead(() => 0);

    backend.announce(endpoint());
    await clock.step(1000);

    assert.deepEqual(counts, []);
    await made.close();
  });

  it('tries again while the pod does not listen, and no longer once it is ready or gone', async () => {
    const { backend, clock, counts, made } = ahead(
      () => 1,
      async () => {
        throw new Error('refused');
      },
    );
    const [becomes, goes] = [endpoint({ id: 'a' }), endpoint({ id: 'b' })];
    backend.announce(becomes);
    backend.announce(goes);
    await clock.step(1000);
    const tried = counts.length;

    backend.up(becomes);
    backend.down(goes);
    await clock.step(1000);
    const triedSince = counts.length;
    await clock.step(5000);

    assert.ok(tried >= 6, `tried ${tried} times`);
    assert.equal(counts.length, triedSince);
    assert.equal(clock.pending, 0);
    await made.close();
  });

  it('ends with the gateway', async () => {
    const { backend, clock, made } = ahead(() => 1);
    backend.announce(endpoint());
    await settle();

    await made.close();

    assert.deepEqual([clock.pending, backend.listeners], [0, 0]);
  });
});

describe('a gateway over a pod that is about to be ready', () => {
  it('sends what it held on connections that were open before', async () => {
    const gateway = await startGateway();
    let opened = 0;
    const pod = await FakePod.start();
    pod.server.on('connection', () => opened++);
    const held = Array.from({ length: 5 }, () => gateway.send('/v1/logprobs'));
    await eventually(() => gateway.gateway.report().models[0]?.held === 5);

    gateway.backend.announce(pod.endpoint);
    await eventually(() => pod.received.length === 5 && opened === 5, 'opened');
    await gateway.send('/health', { method: 'GET', body: null }); // what the pod answered has arrived
    gateway.backend.up(pod.endpoint);
    const answers = await Promise.all(held);

    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200, 200],
    );
    assert.equal(pod.received.filter(({ url }) => url === '/v1/logprobs').length, 5);
    assert.equal(opened, 6); // and that of its state
    await gateway.close();
    await pod.close();
  });
});
