import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { Residency } from '../../../../operator/gateway/residency.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { eventually, FakeBackend, FakePod, resident, state } from '../../../support/gateway-kit.ts';

const setup = () => {
  const clock = new FakeClock();
  const backend = new FakeBackend();
  return { clock, backend, residency: new Residency({ backend, clock, log: silentLogger }) };
};

const loaded = state({ models: [resident('rl/tiny')] });

describe('Residency', () => {
  it('knows what each ready pod tells, and each change of it', async () => {
    const { backend, residency } = setup();
    const pod = await FakePod.start();
    backend.up(pod.endpoint);
    await eventually(() => residency.stateOf(pod.endpoint) !== undefined);

    pod.tell(loaded);
    await eventually(() => residency.stateOf(pod.endpoint)?.models.length === 1);

    assert.deepEqual(residency.pods(), [{ pod: 'pod-a', pool: 'rl/rfm-pool-cpu', state: loaded }]);
    await residency.close();
    await pod.close();
  });

  it('follows pods that were ready before it began', async () => {
    const backend = new FakeBackend();
    const pod = await FakePod.start();
    backend.up(pod.endpoint);

    const residency = new Residency({ backend, clock: new FakeClock(), log: silentLogger });

    await eventually(() => residency.pods().length === 1);
    await residency.close();
    await pod.close();
  });

  it('drops a pod that is no longer ready, its stream included', async () => {
    const { backend, residency } = setup();
    const pod = await FakePod.start();
    backend.up(pod.endpoint);
    await eventually(() => residency.pods().length === 1);

    backend.down(pod.endpoint);

    assert.deepEqual(residency.pods(), []);
    await eventually(() => pod.watchers === 0, 'the stream ends');
    await residency.close();
    await pod.close();
  });

  it('forgets the state when the stream breaks, and learns it again', async () => {
    const { clock, backend, residency } = setup();
    const pod = await FakePod.start();
    backend.up(pod.endpoint);
    await eventually(() => residency.pods().length === 1);

    pod.breakStreams();
    await eventually(() => residency.pods().length === 0);
    await settle();
    await clock.step(200);

    await eventually(() => residency.pods().length === 1);
    await residency.close();
    await pod.close();
  });

  it('takes a silent stream for a broken one', async () => {
    const { clock, backend, residency } = setup();
    const pod = await FakePod.start();
    backend.up(pod.endpoint);
    await eventually(() => residency.pods().length === 1);

    await clock.step(15_000);
    await eventually(() => residency.pods().length === 0);

    await residency.close();
    await pod.close();
  });

  it('keeps a stream that repeats itself', async () => {
    const { clock, backend, residency } = setup();
    const pod = await FakePod.start();
    backend.up(pod.endpoint);
    await eventually(() => residency.pods().length === 1);

    for (let i = 0; i < 5; i++) {
      const before = residency.stateOf(pod.endpoint);
      pod.tell(state());
      await eventually(() => residency.stateOf(pod.endpoint) !== before);
      await clock.step(10_000);
    }

    assert.equal(residency.pods().length, 1);
    assert.equal(pod.watchers, 1);
    await residency.close();
    await pod.close();
  });

  it('knows nothing of a pod that refuses, or that talks nonsense', async () => {
    const { clock, backend, residency } = setup();
    const refusing = await FakePod.start({ id: 'refusing' });
    refusing.server.removeAllListeners('request').on('request', (_req, res) => {
      res.writeHead(404).end();
    });
    const nonsense = createServer((_req, res) => res.end('{"models":\n'));
    await new Promise<void>((resolve) => nonsense.listen(0, '127.0.0.1', resolve));
    const { port } = nonsense.address() as { port: number };
    backend.up(refusing.endpoint);
    backend.up({ id: 'nonsense', pool: 'p', host: '127.0.0.1', port });

    await eventually(() => clock.pending === 2, 'both wait to try again');

    assert.deepEqual(residency.pods(), []);
    await residency.close();
    await refusing.close();
    nonsense.close();
  });

  it('leaves no timer, stream or subscription behind', async () => {
    const { clock, backend, residency } = setup();
    const pod = await FakePod.start();
    backend.up(pod.endpoint);
    await eventually(() => residency.pods().length === 1);

    await residency.close();

    assert.deepEqual([clock.pending, backend.listeners], [0, 0]);
    await eventually(() => pod.watchers === 0);
    await pod.close();
  });
});
