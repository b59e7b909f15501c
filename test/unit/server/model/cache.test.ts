import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError, type ErrorCode } from '../../../../common/errors.ts';
import { silentLogger } from '../../../../common/log.ts';
import { type Lease, type Load, ModelCache } from '../../../../server/model/cache.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { catalogModel } from '../../../support/server-kit.ts';

const forever = new AbortController().signal;
const gone = new Error('the client left');

/** Something in memory, whose load and end a test decides. */
class Thing {
  readonly ended: Promise<void>;
  isResident = false;
  isClosing = false;
  finishLoad: (failure?: AppError) => void = () => {};
  /** Of a close that was asked for, or of itself. */
  end: () => void = () => {};
  readonly name: string;
  readonly bytes: number;

  readonly #endsWhenClosed: boolean;

  constructor(name: string, bytes: number, endsWhenClosed: boolean) {
    this.name = name;
    this.bytes = bytes;
    this.#endsWhenClosed = endsWhenClosed;
    this.ended = new Promise((resolve) => {
      this.end = () => {
        this.isResident = false;
        resolve();
      };
    });
  }

  close(): Promise<void> {
    this.isClosing = true;
    if (this.#endsWhenClosed) this.end();
    return this.ended;
  }
}

interface WorldOptions {
  maxModels?: number;
  memoryBytes?: number;
  bytesOf?: (name: string) => number;
  /** Loads and closes finish by themselves. */
  isPrompt?: boolean;
}

/** A cache over things. */
class World {
  readonly clock = new FakeClock();
  readonly shutdown = new AbortController();
  readonly things: Thing[] = [];
  readonly outcomes: (ErrorCode | undefined)[] = [];
  evictions = 0;
  readonly cache: ModelCache<Thing>;
  readonly #options: WorldOptions;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.cache = new ModelCache({
      load: this.#load,
      limits: { maxModels: options.maxModels ?? 2, memoryBytes: options.memoryBytes ?? 100 },
      loadTimeoutMs: 600_000,
      roomTimeoutMs: 60_000,
      clock: this.clock,
      log: silentLogger,
      observer: {
        onLoad: (_seconds, code) => void this.outcomes.push(code),
        onEvict: () => void this.evictions++,
      },
      shutdown: this.shutdown.signal,
    });
  }

  acquire(name: string, signal = forever): Promise<Lease<Thing>> {
    return this.cache.acquire(catalogModel(name), signal);
  }

  thing(name: string): Thing {
    const thing = this.things.findLast((t) => t.name === name);
    assert.ok(thing, `no load of ${name} yet`);
    return thing;
  }

  residents(): Thing[] {
    return this.things.filter((thing) => thing.isResident);
  }

  readonly #load: Load<Thing> = async (model, { reserve, signal }) => {
    const { bytesOf, isPrompt } = this.#options;
    const thing = new Thing(model.name, bytesOf?.(model.name) ?? 10, isPrompt ?? false);
    this.things.push(thing);
    await reserve(thing.bytes);
    thing.isResident = true;
    if (isPrompt) return thing;
    await new Promise<void>((resolve, reject) => {
      const fail = (reason: Error) => {
        thing.end();
        reject(reason);
      };
      thing.finishLoad = (failure) => (failure ? fail(failure) : resolve());
      signal.addEventListener('abort', () => fail(signal.reason as Error));
    });
    return thing;
  };
}

const nth = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(1, list.length)];
const names = (world: World) => world.cache.info().map((model) => model.name);
const rejectsWith = (promise: Promise<unknown>, code: ErrorCode) =>
  assert.rejects(promise, { code });

describe('ModelCache loads', () => {
  it('once, however many callers wait', async () => {
    const world = new World();

    const waiting = Array.from({ length: 20 }, () => world.acquire('rl/a'));
    await settle();
    world.thing('rl/a').finishLoad();
    const leases = await Promise.all(waiting);

    assert.equal(world.things.length, 1);
    assert.ok(leases.every((lease) => lease.value === world.things[0]));
    assert.equal(world.cache.info()[0]?.inFlight, 20);
  });

  it('on, when one of those who wait leaves', async () => {
    const world = new World();
    const client = new AbortController();

    const first = world.acquire('rl/a', client.signal);
    const second = world.acquire('rl/a');
    await settle();
    client.abort(gone);
    await assert.rejects(first, gone);
    world.thing('rl/a').finishLoad();

    assert.equal((await second).value.name, 'rl/a');
  });

  it('to the end when all who wait have left, and keeps the model', async () => {
    const world = new World();
    const client = new AbortController();

    const only = world.acquire('rl/a', client.signal);
    await settle();
    client.abort(gone);
    await assert.rejects(only, gone);
    world.thing('rl/a').finishLoad();
    await settle();

    assert.ok(world.cache.contains('rl/a'));
    assert.equal(world.cache.info()[0]?.inFlight, 0);
  });

  it('nothing for a caller who had left before', async () => {
    const world = new World();

    await assert.rejects(world.acquire('rl/a', AbortSignal.abort(gone)), gone);

    assert.equal(world.things.length, 0);
  });

  it('no more after the time it may take', async () => {
    const world = new World();

    const waiting = world.acquire('rl/a');
    const failed = rejectsWith(waiting, 'LOAD_TIMEOUT');
    await settle();
    await world.clock.step(600_000);

    await failed;
    assert.deepEqual(world.residents(), []);
    assert.equal(world.clock.pending, 0);
  });

  it('no more once the process ends, while loaded models still serve', async () => {
    const world = new World();
    const serving = world.acquire('rl/a');
    await settle();
    world.thing('rl/a').finishLoad();
    await serving;
    const loading = rejectsWith(world.acquire('rl/b'), 'SHUTTING_DOWN');
    await settle();

    world.shutdown.abort(new AppError('SHUTTING_DOWN', 'the end'));

    await loading;
    await rejectsWith(world.acquire('rl/c'), 'SHUTTING_DOWN');
    assert.equal((await world.acquire('rl/a')).value.name, 'rl/a');
  });
});

describe('ModelCache makes room', () => {
  it('by closing the least recently used model before the next one takes memory', async () => {
    const world = new World();
    for (const name of ['rl/a', 'rl/b']) {
      const loading = world.acquire(name);
      await settle();
      world.thing(name).finishLoad();
      (await loading)[Symbol.dispose]();
    }
    (await world.acquire('rl/a'))[Symbol.dispose]();

    void world.acquire('rl/c');
    await settle();

    assert.ok(world.thing('rl/b').isClosing);
    assert.ok(!world.thing('rl/c').isResident);
    assert.deepEqual(names(world), ['rl/c', 'rl/a']);
    world.thing('rl/b').end();
    await settle();
    assert.ok(world.thing('rl/c').isResident);
    assert.equal(world.evictions, 1);
  });

  it('only when a lease ends, if all are in use', async () => {
    const world = new World({ isPrompt: true, maxModels: 1 });
    const lease = await world.acquire('rl/a');

    const waiting = world.acquire('rl/b');
    await settle();
    assert.ok(!world.thing('rl/a').isClosing);
    lease[Symbol.dispose]();

    assert.equal((await waiting).value.name, 'rl/b');
    assert.ok(world.thing('rl/a').isClosing);
  });

  it('for a bounded time, then says CACHE_FULL, and the next call tries anew', async () => {
    const world = new World({ isPrompt: true, maxModels: 1 });
    const lease = await world.acquire('rl/a');

    const failed = rejectsWith(world.acquire('rl/b'), 'CACHE_FULL');
    await settle();
    await world.clock.step(60_000);
    await failed;
    lease[Symbol.dispose]();

    assert.equal((await world.acquire('rl/b')).value.name, 'rl/b');
  });

  it('never for a model that does not fit at all', async () => {
    const world = new World({ isPrompt: true, bytesOf: (name) => (name === 'rl/big' ? 101 : 10) });
    (await world.acquire('rl/a'))[Symbol.dispose]();

    await rejectsWith(world.acquire('rl/big'), 'MODEL_TOO_LARGE');

    assert.ok(world.cache.contains('rl/a'));
  });
});

describe('ModelCache after a failure', () => {
  const broken = new AppError('WEIGHTS_CORRUPT', 'cut short');

  it('tells all who wait, shows it, and gives it again for a moment without another load', async () => {
    const world = new World();
    const waiting = [world.acquire('rl/a'), world.acquire('rl/a')];
    const failed = waiting.map((promise) => rejectsWith(promise, 'WEIGHTS_CORRUPT'));
    await settle();
    world.thing('rl/a').finishLoad(broken);
    await Promise.all(failed);

    await rejectsWith(world.acquire('rl/a'), 'WEIGHTS_CORRUPT');

    const [state] = world.cache.info();
    assert.deepEqual([state?.name, state?.residency], ['rl/a', 'Failed']);
    assert.equal(state?.error, broken);
    assert.equal(world.things.length, 1);
    assert.deepEqual(world.outcomes, ['WEIGHTS_CORRUPT']);
  });

  it('loads again after the back-off', async () => {
    const world = new World();
    const failed = rejectsWith(world.acquire('rl/a'), 'WEIGHTS_CORRUPT');
    await settle();
    world.thing('rl/a').finishLoad(broken);
    await failed;

    await world.clock.step(1000);
    const again = world.acquire('rl/a');
    await settle();
    world.thing('rl/a').finishLoad();

    assert.equal((await again).value, world.things[1]);
    assert.deepEqual(names(world), ['rl/a']);
  });

  it('loads at once when the catalog has the model otherwise', async () => {
    const world = new World();
    const failed = rejectsWith(world.acquire('rl/a'), 'WEIGHTS_CORRUPT');
    await settle();
    world.thing('rl/a').finishLoad(broken);
    await failed;
    const mended = catalogModel('rl/a', { source: { volume: { root: '/nowhere', path: 'b' } } });

    await world.cache.retain([mended]);
    assert.deepEqual(world.cache.info(), []);
    const again = world.cache.acquire(mended, forever);
    await settle();
    world.thing('rl/a').finishLoad();

    assert.equal((await again).value, world.things[1]);
  });

  it('drops a model that ended by itself, and the next caller gets a new one', async () => {
    const world = new World({ isPrompt: true });
    const lease = await world.acquire('rl/a');

    world.thing('rl/a').end();
    await settle();
    assert.ok(!world.cache.contains('rl/a'));
    assert.deepEqual(world.cache.residents(), { models: 0, bytes: 0 });
    lease[Symbol.dispose]();

    assert.equal((await world.acquire('rl/a')).value, world.things[1]);
  });

  it('backs off from a model that ends by itself time and again', async () => {
    const world = new World({ isPrompt: true });

    for (let i = 0; i < 2; i++) {
      (await world.acquire('rl/a'))[Symbol.dispose]();
      world.thing('rl/a').end();
      await settle();
    }

    await rejectsWith(world.acquire('rl/a'), 'RUNNER_DIED');
    await world.clock.step(2000);
    (await world.acquire('rl/a'))[Symbol.dispose]();
  });
});

describe('ModelCache removes', () => {
  it('an idle model, and resolves when its memory is back', async () => {
    const world = new World({ isPrompt: true });
    (await world.acquire('rl/a'))[Symbol.dispose]();

    assert.equal(await world.cache.remove('rl/a'), true);

    assert.deepEqual(world.residents(), []);
    assert.equal(await world.cache.remove('rl/a'), false);
  });

  it('a leased model for new callers at once, and closes it with its last lease', async () => {
    const world = new World({ isPrompt: true });
    const lease = await world.acquire('rl/a');

    await world.cache.clear();
    assert.ok(!world.cache.contains('rl/a'));
    assert.ok(!world.thing('rl/a').isClosing);
    const next = await world.acquire('rl/a');
    assert.notEqual(next.value, lease.value);
    lease[Symbol.dispose]();
    await settle();

    assert.ok(world.things[0]?.isClosing);
    assert.ok(!world.things[1]?.isClosing);
  });

  it('a loading model: those who wait still get it, then it closes', async () => {
    const world = new World();
    const waiting = world.acquire('rl/a');
    await settle();

    await world.cache.remove('rl/a');
    world.thing('rl/a').finishLoad();
    const lease = await waiting;
    assert.ok(!world.thing('rl/a').isClosing);
    lease[Symbol.dispose]();
    await settle();

    assert.ok(world.thing('rl/a').isClosing);
  });

  it('a loading model that nobody waits for by ending its load', async () => {
    const world = new World();
    const client = new AbortController();
    const left = assert.rejects(world.acquire('rl/a', client.signal), gone);
    await settle();
    client.abort(gone);
    await left;

    await world.cache.remove('rl/a');

    assert.deepEqual(world.residents(), []);
    assert.deepEqual(world.cache.info(), []);
  });

  it('what the catalog no longer has, or has otherwise, and nothing else', async () => {
    const world = new World({ isPrompt: true, maxModels: 3 });
    for (const name of ['rl/kept', 'rl/changed', 'rl/gone'])
      (await world.acquire(name))[Symbol.dispose]();

    await world.cache.retain([
      catalogModel('rl/kept', { preload: true }),
      catalogModel('rl/changed', { quantization: 'Int8' }),
    ]);

    assert.deepEqual(names(world), ['rl/kept']);
  });

  it('a model that its next caller knows otherwise, without closing it under its lease', async () => {
    const world = new World({ isPrompt: true });
    const old = await world.acquire('rl/a');

    const fresh = await world.cache.acquire(
      catalogModel('rl/a', { quantization: 'Int8' }),
      forever,
    );

    assert.notEqual(fresh.value, old.value);
    assert.ok(!old.value.isClosing);
    old[Symbol.dispose]();
    old[Symbol.dispose]();
    await settle();
    assert.ok(old.value.isClosing);
    assert.equal(world.cache.info()[0]?.inFlight, 1);
  });

  it('everything when it closes, leased or loading', async () => {
    const world = new World();
    const loaded = world.acquire('rl/a');
    await settle();
    world.thing('rl/a').finishLoad();
    await loaded;
    const loading = rejectsWith(world.acquire('rl/b'), 'SHUTTING_DOWN');
    await settle();

    const closed = world.cache.close();
    await settle();
    world.thing('rl/a').end();

    await closed;
    await loading;
    assert.deepEqual(world.residents(), []);
  });
});

describe('ModelCache under any interleaving', () => {
  const sizes: Record<string, number> = { 'rl/a': 30, 'rl/b': 40, 'rl/c': 50, 'rl/d': 70 };
  /** The more often it stands here, the more often it happens. */
  const verbs = [
    ...(['acquire', 'acquire', 'acquire', 'finish', 'finish', 'release', 'release'] as const),
    ...(['endClosing', 'endClosing', 'leave', 'die', 'remove', 'step'] as const),
  ];
  type Verb = (typeof verbs)[number];
  const command = fc.record({
    verb: fc.constantFrom(...verbs),
    model: fc.constantFrom(...Object.keys(sizes)),
    pick: fc.nat(50),
    fails: fc.boolean(),
  });
  type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

  interface Waiter {
    client: AbortController;
    lease?: Lease<Thing>;
    isSettled: boolean;
  }

  class Run {
    readonly world = new World({ bytesOf: (name) => sizes[name] ?? 0 });
    readonly waiters: Waiter[] = [];
    readonly removed = new Set<Thing>();

    acquire(name: string): void {
      const waiter: Waiter = { client: new AbortController(), isSettled: false };
      this.waiters.push(waiter);
      this.world.acquire(name, waiter.client.signal).then(
        (lease) => Object.assign(waiter, { lease, isSettled: true }),
        () => Object.assign(waiter, { isSettled: true }),
      );
    }

    release(waiter: Waiter | undefined): void {
      waiter?.lease?.[Symbol.dispose]();
      delete waiter?.lease;
    }

    readonly verbs: Record<Verb, (command: Command) => unknown> = {
      acquire: ({ model }) => this.acquire(model),
      finish: ({ pick, fails }) => {
        const loading = this.world.residents().filter((thing) => !this.isLoaded(thing));
        const failure = fails ? new AppError('LOAD_FAILED', 'no luck') : undefined;
        nth(loading, pick)?.finishLoad(failure);
      },
      release: ({ pick }) => {
        const leased = this.waiters.filter((waiter) => waiter.lease);
        this.release(nth(leased, pick));
      },
      endClosing: ({ pick }) => {
        const closing = this.world.residents().filter((thing) => thing.isClosing);
        nth(closing, pick)?.end();
      },
      leave: ({ pick }) => {
        const waiting = this.waiters.filter((waiter) => !waiter.isSettled);
        nth(waiting, pick)?.client.abort(gone);
      },
      die: ({ pick }) => {
        const loaded = this.world.things.filter((thing) => this.isLoaded(thing));
        nth(loaded, pick)?.end();
      },
      remove: ({ model }) => {
        for (const thing of this.world.things) if (thing.name === model) this.removed.add(thing);
        void this.world.cache.remove(model);
      },
      step: ({ pick }) => this.world.clock.step(pick * 500),
    };

    isLoaded(thing: Thing): boolean {
      return thing.isResident && this.world.cache.info().some((model) => model.value === thing);
    }

    check(): void {
      const { world } = this;
      const residents = world.residents();
      const bytes = residents.reduce((sum, thing) => sum + thing.bytes, 0);
      assert.ok(residents.length <= 2, `${residents.length} models in memory`);
      assert.ok(bytes <= 100, `${bytes} bytes in memory`);
      for (const { lease } of this.waiters) {
        assert.ok(!lease?.value.isClosing, `${lease?.value.name} is closed under a lease`);
      }
      const current = residents.filter((t) => !t.isClosing && !this.removed.has(t));
      assert.equal(
        new Set(current.map((t) => t.name)).size,
        current.length,
        'two loads of one model',
      );
    }

    /** Everything that can go on goes on: then no one may wait any more. */
    async finish(): Promise<void> {
      for (let i = 0; i < 400 && !this.isQuiet(); i++) {
        for (const waiter of this.waiters) this.release(waiter);
        for (const thing of this.world.things) {
          thing.finishLoad();
          if (thing.isClosing) thing.end();
        }
        await this.world.clock.step(1000);
        this.check();
      }
      assert.ok(this.isQuiet(), 'someone waits for ever');
      assert.equal(this.world.clock.pending, 0);
    }

    isQuiet(): boolean {
      const isLoading = this.world.cache.info().some((model) => model.residency === 'Loading');
      return !isLoading && this.waiters.every((waiter) => waiter.isSettled && !waiter.lease);
    }
  }

  it('holds its limits, never closes under a lease, loads a model once, and answers everyone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 60 }), async (commands) => {
        const run = new Run();
        for (const step of commands) {
          await run.verbs[step.verb](step);
          await settle();
          run.check();
        }
        await run.finish();
        const { models } = run.world.cache.residents();
        assert.equal(models, run.world.residents().length);
      }),
      { numRuns: 150 },
    );
  });
});
