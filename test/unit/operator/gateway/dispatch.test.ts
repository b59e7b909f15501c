import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { silentLogger } from '../../../../common/log.ts';
import { noTracing } from '../../../../common/tracing.ts';
import { Activity } from '../../../../operator/gateway/activity.ts';
import type { Endpoint } from '../../../../operator/gateway/backend.ts';
import { Dispatcher, type Lease } from '../../../../operator/gateway/dispatch.ts';
import { Hold } from '../../../../operator/gateway/hold.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { endpoint, FakeBackend, model } from '../../../support/gateway-kit.ts';

const never = new AbortController().signal;
setMaxListeners(0, never); // many waiters share it

const setup = (...models: ReturnType<typeof model>[]) => {
  const clock = new FakeClock();
  const backend = new FakeBackend(...(models.length > 0 ? models : [model()]));
  const hold = new Hold({ maxRequests: 50, maxBytes: 10_000 });
  const activity = new Activity(clock);
  const dispatcher = new Dispatcher({
    backend,
    hold,
    activity,
    residency: { stateOf: () => undefined },
    onWake: () => {},
    onWoken: () => {},
    onWakeFailed: () => {},
    clock,
    log: silentLogger,
    tracing: noTracing,
  });
  const acquire = (key = 'rl/tiny', budgetMs = 100_000, signal = never) =>
    dispatcher.acquire(
      { model: key, caller: 'run-1', bytes: 10, budgetMs, except: new Set() },
      signal,
    );
  return { clock, backend, hold, activity, dispatcher, acquire };
};

describe('Dispatcher', () => {
  it('takes a ready endpoint without waking', async () => {
    const { backend, acquire } = setup();
    backend.up(endpoint());

    using lease = await acquire();

    assert.equal(lease.endpoint.id, 'pod-a');
    assert.equal(lease.heldMs, 0);
    assert.deepEqual(backend.wakes, []);
  });

  it('holds twenty requests, wakes once, and serves all of them when the pod is ready', async () => {
    const { clock, backend, hold, acquire } = setup();
    const waiting = Array.from({ length: 20 }, () => acquire());
    await clock.step(100);
    assert.deepEqual([hold.count, backend.wakes.length], [20, 1]);

    backend.up(endpoint());
    const leases = await Promise.all(waiting);

    assert.ok(leases.every(({ heldMs }) => heldMs === 100));
    assert.equal(hold.count, 0);
  });

  it('counts a request as in flight in the step that releases it', async () => {
    const { backend, activity, acquire } = setup();
    const ready = endpoint();
    void acquire();
    void acquire();

    backend.up(ready);

    assert.equal(activity.load(ready), 2);
  });

  it('asks for another wake when a scale-down crossed the first', async () => {
    const { clock, backend, acquire } = setup();
    void acquire().catch(() => {});

    await clock.step(5000);

    assert.ok(backend.wakes.length >= 2);
  });

  it('answers WAKE_TIMEOUT after the budget, with the trouble of the pool, and leaves nothing behind', async () => {
    const { clock, backend, hold, dispatcher, acquire } = setup();
    backend.troubles.set('rl/rfm-pool-cpu', 'ImagePull: no such image');

    const failed = assert.rejects(acquire('rl/tiny', 2000), {
      code: 'WAKE_TIMEOUT',
      message: /no such image/,
    });
    await clock.step(2000);
    await failed;
    await dispatcher.close();

    assert.deepEqual([hold.count, clock.pending, backend.listeners], [0, 0, 0]);
  });

  it('lets a client go at once, with its own reason', async () => {
    const { hold, acquire } = setup();
    const client = new AbortController();
    const waiting = acquire('rl/tiny', 1000, client.signal);

    client.abort(new Error('client gone'));

    await assert.rejects(waiting, /client gone/);
    assert.equal(hold.count, 0);
  });

  it('wakes although the only waiter has a budget of nothing', async () => {
    const { clock, backend, acquire } = setup();

    const failed = assert.rejects(acquire('rl/tiny', 0), { code: 'WAKE_TIMEOUT' });
    await clock.step(1);
    await failed;

    assert.equal(backend.wakes.length, 1);
  });

  it('refuses a model that is not accepted, at once and while it waits', async () => {
    const refused = model({ acceptance: { state: 'Refused', message: 'ClassNotFound: x' } });
    const { backend, acquire } = setup();
    const waiting = acquire();

    backend.set(refused);

    await assert.rejects(waiting, { code: 'MODEL_NOT_ACCEPTED' });
    await assert.rejects(acquire(), { code: 'MODEL_NOT_ACCEPTED' });
  });

  it('answers MODEL_NOT_FOUND when the model goes while a request waits for it', async () => {
    const { backend, acquire } = setup();
    const waiting = acquire();

    backend.remove('rl/tiny');

    await assert.rejects(waiting, { code: 'MODEL_NOT_FOUND' });
  });

  it('holds a model that nobody has judged yet, and one whose pool is not known yet', async () => {
    const { backend, acquire } = setup(
      model({ pool: undefined, acceptance: { state: 'Unknown' } }),
    );
    const waiting = acquire();
    assert.deepEqual(backend.wakes, []);

    backend.set(model({ acceptance: { state: 'Unknown' } }));
    const wakes = [...backend.wakes];
    backend.up(endpoint());

    using lease = await waiting;
    assert.equal(lease.endpoint.id, 'pod-a');
    assert.deepEqual(wakes, ['rl/rfm-pool-cpu']);
  });

  it('follows a model to another pool', async () => {
    const { backend, acquire } = setup();
    const waiting = acquire();
    backend.up(endpoint({ id: 'pod-b', pool: 'rl/rfm-pool-gpu' }));

    backend.set(model({ pool: 'rl/rfm-pool-gpu' }));

    using lease = await waiting;
    assert.equal(lease.endpoint.id, 'pod-b');
  });

  it('leaves the waiters of other pools alone', async () => {
    const other = model({ key: 'rl/other', pool: 'rl/rfm-pool-gpu' });
    const { backend, hold, acquire } = setup(model(), other);
    const first = acquire('rl/tiny');
    void acquire('rl/other').catch(() => {});

    backend.up(endpoint());
    await first;

    assert.deepEqual(hold.keys(), ['rl/other']);
  });

  it('prefers another endpoint to one that was set aside', async () => {
    const { backend, dispatcher, acquire } = setup();
    const [a, b] = [endpoint({ id: 'a' }), endpoint({ id: 'b' })];
    backend.up(a);
    backend.up(b);
    using first = await acquire();

    dispatcher.setAside(first.endpoint);

    for (let i = 0; i < 10; i++) {
      using lease = await acquire();
      assert.notEqual(lease.endpoint, first.endpoint);
    }
  });

  it('comes back to the only endpoint a moment after it was set aside', async () => {
    const { clock, backend, dispatcher, hold, acquire } = setup();
    const only = endpoint();
    backend.up(only);
    dispatcher.setAside(only);
    const waiting = acquire();
    await settle();
    assert.equal(hold.count, 1);

    await clock.step(100);

    using lease = await waiting;
    assert.equal(lease.endpoint, only);
  });

  it('leaves an endpoint alone for longer each time, until it answers', async () => {
    const { clock, backend, dispatcher, acquire } = setup();
    const only = endpoint();
    backend.up(only);
    const waits: number[] = [];
    const measure = async () => {
      dispatcher.setAside(only);
      const start = clock.now();
      const waiting = acquire();
      while (clock.pending > 0 && !(await isSettled(waiting))) await clock.step(10);
      waits.push(clock.now() - start);
      (await waiting)[Symbol.dispose]();
    };

    for (let i = 0; i < 5; i++) await measure();
    dispatcher.confirm(only);
    await measure();

    assert.ok((waits[4] ?? 0) > 4 * (waits[0] ?? 0), String(waits));
    assert.ok((waits[5] ?? 0) <= 110, String(waits));
  });

  it('serves a waiter by a pod that came back under the same name', async () => {
    const { backend, dispatcher, acquire } = setup();
    const before = endpoint();
    backend.up(before);
    dispatcher.setAside(before);
    const waiting = acquire();

    backend.down(before);
    backend.up(endpoint());

    using lease = await waiting;
    assert.equal(lease.endpoint.id, 'pod-a');
  });

  it('loses nobody and leaks nothing, however pods come, go and fail', async () => {
    const operation = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constant('arrive' as const), which: fc.nat(1) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('leave' as const), which: fc.nat(20) }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('toggle' as const), which: fc.nat(3) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), which: fc.nat(3) }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('finish' as const), which: fc.nat(20) }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('step' as const), which: fc.nat(9) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
        const run = new Run();
        for (const { kind, which } of operations) {
          await run[kind](which);
          run.check();
        }
        await run.finish();
      }),
      { numRuns: 100 },
    );
  });
});

/** Two models in two pools of two pods each, moved at random. */
class Run {
  readonly #parts = setup(model(), model({ key: 'rl/other', pool: 'rl/rfm-pool-gpu' }));
  readonly #pods = ['rl/rfm-pool-cpu', 'rl/rfm-pool-gpu'].flatMap((pool) =>
    ['a', 'b'].map((id) => endpoint({ id: `${pool}-${id}`, pool })),
  );
  readonly #up = new Map<number, Endpoint>();
  readonly #clients: AbortController[] = [];
  readonly #leases: Lease[] = [];
  readonly #settled: Promise<void>[] = [];

  async arrive(which: number): Promise<void> {
    const client = new AbortController();
    this.#clients.push(client);
    const key = which === 0 ? 'rl/tiny' : 'rl/other';
    const served = this.#parts.acquire(key, 1e9, client.signal).then(
      (lease) => {
        this.#leases.push(lease);
      },
      (err: unknown) => assert.equal(err, client.signal.reason),
    );
    this.#settled.push(served);
    await settle();
  }

  async leave(which: number): Promise<void> {
    this.#clients[which]?.abort(new Error('client gone'));
    await settle();
  }

  async toggle(which: number): Promise<void> {
    const pod = this.#pods[which];
    const ready = this.#up.get(which);
    if (ready) {
      this.#up.delete(which);
      this.#parts.backend.down(ready);
    } else if (pod) {
      const fresh = { ...pod };
      this.#up.set(which, fresh);
      this.#parts.backend.up(fresh);
    }
    await settle();
  }

  async fail(which: number): Promise<void> {
    const ready = this.#up.get(which);
    if (ready) this.#parts.dispatcher.setAside(ready);
    await settle();
  }

  async finish(which?: number): Promise<void> {
    if (which !== undefined) {
      this.#leases.splice(which, 1)[0]?.[Symbol.dispose]();
      return;
    }
    for (const [i, pod] of this.#pods.entries()) if (!this.#up.has(i)) this.#parts.backend.up(pod);
    await this.#parts.clock.step(10_000);
    await Promise.all(this.#settled);
    for (const lease of this.#leases) lease[Symbol.dispose]();
    const { activity, clock, dispatcher, hold } = this.#parts;
    await dispatcher.close();
    assert.deepEqual([hold.count, hold.bytes, clock.pending], [0, 0, 0]);
    assert.ok(activity.inFlight().every(({ inFlight }) => inFlight === 0));
    assert.ok(this.#pods.every((pod) => activity.load(pod) === 0));
  }

  async step(which: number): Promise<void> {
    await this.#parts.clock.step(which * 1000);
  }

  /** Who waits is being woken for: a loop of the waker, or of an endpoint set aside, is under way. */
  check(): void {
    const { clock, hold } = this.#parts;
    if (hold.count > 0) assert.ok(clock.pending > hold.count, 'waiters, and nobody wakes');
  }
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  await settle();
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}
