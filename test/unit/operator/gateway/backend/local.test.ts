import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../../common/log.ts';
import type { DemandReport } from '../../../../../operator/demand.ts';
import { LocalBackend, type LocalModel } from '../../../../../operator/gateway/backend/local.ts';
import type { ServerProcess } from '../../../../../operator/gateway/backend/process.ts';
import { FakeClock, settle } from '../../../../support/clock.ts';
import { deferred, model, resident, state } from '../../../../support/gateway-kit.ts';

const pool = 'rl/rfm-pool-cpu';
const never = new AbortController().signal;
const scaling = { minReplicas: 0, maxReplicas: 1, concurrency: 20, idleTimeoutMs: 1000 };
const localModel = (overrides: Partial<LocalModel['scaling']> = {}): LocalModel => ({
  ...model(),
  pool,
  scaling: { ...scaling, ...overrides },
});

/** A process that a test brings up and down. */
class FakeProcess implements ServerProcess {
  readonly pid = 1;
  readonly #port = deferred<number>();
  readonly #ended = deferred<string>();
  readonly port = this.#port.promise;
  readonly ended = this.#ended.promise;
  isStopped = false;

  stop(): void {
    this.isStopped = true;
  }

  async listen(): Promise<void> {
    this.#port.resolve(4000);
    await settle();
  }

  async end(how = 'ended with code 0'): Promise<void> {
    this.#ended.resolve(how);
    await settle();
  }
}

const setup = (...models: LocalModel[]) => {
  const clock = new FakeClock();
  const started: FakeProcess[] = [];
  const start = () => {
    const process = new FakeProcess();
    started.push(process);
    return process;
  };
  const preloads: string[][] = [];
  const preload = (leased: ReadonlySet<string>) => void preloads.push([...leased]);
  const options = { models: models.length > 0 ? models : [localModel()], start, preload, clock };
  const backend = new LocalBackend({ ...options, objects: [], log: silentLogger });
  const changes: unknown[] = [];
  backend.subscribe((change) => changes.push(change));
  return { clock, started, backend, changes, preloads };
};

const report = (overrides: Partial<DemandReport> = {}): DemandReport => ({
  gateway: 'local',
  models: [],
  pods: [{ pod: '127.0.0.1:4000', pool, state: state() }],
  traffic: [],
  ...overrides,
});

describe('LocalBackend', () => {
  it('knows its models from the start, and runs nothing', () => {
    const { backend, started } = setup();

    assert.ok(backend.isSynced());
    assert.deepEqual([...backend.models().keys()], ['rl/tiny']);
    assert.deepEqual([backend.allEndpoints().length, started.length], [0, 0]);
  });

  it('starts a process for a lease, has the model loaded, and keeps both until it is over', async () => {
    const { clock, backend, started, preloads } = setup();
    const lease = { run: 'run-1', models: ['rl/tiny'], expiresAt: clock.now() + 3_600_000 };

    await backend.keepLease(lease);
    backend.scale(report({ pods: [] }));
    await started[0]?.listen();
    await clock.step(3_599_000);
    backend.scale(report());
    const leased = backend.allEndpoints().length;
    await clock.step(1000);
    backend.scale(report());

    assert.deepEqual([leased, backend.allEndpoints().length], [1, 0]);
    assert.deepEqual(preloads, [['rl/tiny'], []]);
    assert.deepEqual(backend.leases(), []);
  });

  it('starts one process however often it is woken, and routes to it once it listens', async () => {
    const { backend, started, changes } = setup();

    await Promise.all(Array.from({ length: 20 }, () => backend.wake(pool, never)));
    const whileStarting = backend.endpoints(pool).length;
    await started[0]?.listen();
    await backend.wake(pool, never);

    assert.deepEqual([started.length, whileStarting], [1, 0]);
    assert.deepEqual(backend.endpoints(pool), [
      { id: '127.0.0.1:4000', pool, host: '127.0.0.1', port: 4000 },
    ]);
    assert.deepEqual(changes, [{ pool }]);
  });

  it('keeps the endpoint object as long as the process lives', async () => {
    const { backend, started } = setup();
    await backend.wake(pool, never);
    await started[0]?.listen();

    assert.equal(backend.endpoints(pool)[0], backend.allEndpoints()[0]);
  });

  it('stops an idle process, out of routing first', async () => {
    const { clock, backend, started, changes } = setup();
    await backend.wake(pool, never);
    await started[0]?.listen();
    await clock.step(999);
    backend.scale(report());
    const early = started[0]?.isStopped;

    await clock.step(1);
    backend.scale(report());

    assert.deepEqual([early, started[0]?.isStopped], [false, true]);
    assert.deepEqual(backend.endpoints(pool), []);
    assert.equal(changes.length, 2);
  });

  const busy: { name: string; given: Partial<DemandReport> }[] = [
    {
      name: 'a request runs',
      given: { models: [{ model: 'rl/tiny', inFlight: 1, held: 0, lastActivity: null }] },
    },
    {
      name: 'a request waits',
      given: { models: [{ model: 'rl/tiny', inFlight: 0, held: 1, lastActivity: null }] },
    },
    {
      name: 'a model loads',
      given: {
        pods: [{ pod: 'p', pool, state: state({ models: [resident('rl/tiny', 'Loading')] }) }],
      },
    },
    { name: 'its state is not known', given: { pods: [] } },
  ];
  for (const { name, given } of busy) {
    it(`keeps a process while ${name}`, async () => {
      const { clock, backend, started } = setup();
      await backend.wake(pool, never);
      await started[0]?.listen();
      await clock.step(60_000);

      backend.scale(report(given));

      assert.equal(started[0]?.isStopped, false);
    });
  }

  it('keeps a process that starts slowly', async () => {
    const { clock, backend, started } = setup();
    await backend.wake(pool, never);
    await clock.step(60_000);

    backend.scale(report({ pods: [] }));

    assert.equal(started[0]?.isStopped, false);
  });

  it('starts what minReplicas asks for, without a request, and keeps it', async () => {
    const { clock, backend, started } = setup(localModel({ minReplicas: 1 }));

    backend.scale(report({ pods: [] }));
    await started[0]?.listen();
    await clock.step(60_000);
    backend.scale(report());

    assert.deepEqual([started.length, started[0]?.isStopped], [1, false]);
  });

  it('runs one process for a pool that may have many', async () => {
    const { backend, started } = setup(localModel({ maxReplicas: 5, concurrency: 1 }));

    backend.scale(
      report({
        pods: [],
        models: [{ model: 'rl/tiny', inFlight: 0, held: 9, lastActivity: null }],
      }),
    );
    backend.scale(
      report({
        pods: [],
        models: [{ model: 'rl/tiny', inFlight: 0, held: 9, lastActivity: null }],
      }),
    );

    assert.equal(started.length, 1);
  });

  it('starts the next process only when the one that stops is gone', async () => {
    const { clock, backend, started } = setup();
    await backend.wake(pool, never);
    await started[0]?.listen();
    await clock.step(1000);
    backend.scale(report());

    const woken = backend.wake(pool, never);
    await settle();
    const before = started.length;
    await started[0]?.end();
    await woken;

    assert.deepEqual([before, started.length], [1, 2]);
  });

  it('starts a process that crashed again, later each time, and says why it crashed', async () => {
    const { clock, backend, started } = setup();
    const waits: number[] = [];
    for (let i = 0; i < 5; i++) {
      const begin = clock.now();
      while (started.length === i) {
        await backend.wake(pool, never);
        if (started.length === i) await clock.step(50);
      }
      waits.push(clock.now() - begin);
      await started[i]?.end('out of memory');
    }

    assert.equal(backend.trouble(pool), 'out of memory');
    assert.deepEqual(backend.endpoints(pool), []);
    assert.ok((waits[4] ?? 0) > (waits[1] ?? 0) * 2, String(waits));
  });

  it('tells no trouble once it was stopped in good order', async () => {
    const { clock, backend, started } = setup();
    await backend.wake(pool, never);
    await started[0]?.end('crashed');
    await clock.step(60_000);
    await backend.wake(pool, never);
    await started[1]?.listen();
    await clock.step(60_000);
    backend.scale(report());
    await started[1]?.end();

    assert.equal(backend.trouble(pool), undefined);
  });

  it('does not route to a process that listens only after it was stopped', async () => {
    const { backend, started } = setup();
    await backend.wake(pool, never);
    const closed = backend.close();

    await started[0]?.listen();
    const routed = backend.endpoints(pool).length;
    await started[0]?.end();
    await closed;

    assert.equal(routed, 0);
  });

  it('waits for every process when it closes, and starts none afterwards', async () => {
    const { backend, started } = setup();
    await backend.wake(pool, never);
    await started[0]?.listen();
    let isClosed = false;

    const closed = backend.close().then(() => {
      isClosed = true;
    });
    await settle();
    const early = isClosed;
    await started[0]?.end();
    await closed;
    await backend.wake(pool, never);

    assert.deepEqual([early, started[0]?.isStopped, started.length], [false, true, 1]);
  });
});
