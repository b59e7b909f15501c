import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, type ErrorCode } from '../../../../../common/errors.ts';
import { forever, gone, host, World } from '../../../../support/cache-kit.ts';
import { settle } from '../../../../support/clock.ts';
import { catalogModel } from '../../../../support/server-kit.ts';

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

  it('and tells who found it there, who waited and who had it loaded', async () => {
    const world = new World();

    const first = world.acquire('rl/a');
    const second = world.acquire('rl/a');
    await settle();
    world.thing('rl/a').finishLoad();
    await Promise.all([first, second]);
    await world.acquire('rl/a');

    assert.deepEqual(world.lookups, ['Miss', 'Wait', 'Hit']);
  });

  it('as a part of what asked first; others wait for it, linked to it', async () => {
    const world = new World();
    const { tracing } = world;
    const ask = (name: string) => tracing.within(tracing.start(name), () => world.acquire('rl/a'));

    const answers = [ask('first'), ask('second')];
    await settle();
    world.thing('rl/a').finishLoad();
    await Promise.all(answers);
    await ask('third');

    const [load] = tracing.named('load');
    const [first] = tracing.named('first');
    assert.equal(load?.parent, first);
    assert.equal(load?.attributes['refmodel.model'], 'rl/a');
    assert.ok(load.hasEnded);
    assert.deepEqual(
      tracing.named('wait for load').map(({ links, hasEnded }) => [links[0], hasEnded]),
      [load, load].map((span) => [span, true]),
    );
    const [loading] = tracing.named('Loading');
    assert.equal(loading?.parent, load);
    assert.ok(loading.hasEnded);
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

  it('no more after the time in which nothing moved', async () => {
    const world = new World();

    const waiting = world.acquire('rl/a');
    const failed = rejectsWith(waiting, 'LOAD_TIMEOUT');
    await settle();
    await world.clock.step(600_000);

    await failed;
    assert.deepEqual(world.residents(), []);
    assert.equal(world.clock.pending, 0);
  });

  it('as long as it gets further', async () => {
    const world = new World();
    const waiting = world.acquire('rl/a');
    await settle();

    for (const bytes of [1, 2, 3]) {
      await world.clock.step(599_000);
      world.thing('rl/a').report({ phase: 'Converting', bytes, totalBytes: 3 });
    }
    world.thing('rl/a').finishLoad();

    assert.equal((await waiting).value.name, 'rl/a');
  });

  it('with the phase in which it was given up', async () => {
    const world = new World();
    const failed = assert.rejects(world.acquire('rl/a'), {
      code: 'LOAD_TIMEOUT',
      message: /Downloading, 3 of 8 bytes/,
    });
    await settle();
    world.thing('rl/a').report({ phase: 'Downloading', bytes: 3, totalBytes: 8 });

    await world.clock.step(600_000);

    await failed;
  });

  it('and shows phase, bytes, and in the end the seconds', async () => {
    const world = new World();
    const waiting = world.acquire('rl/a');
    await settle();
    const progress = { phase: 'Converting' as const, bytes: 3, totalBytes: 8 };
    const { next } = world.cache.changes;

    world.thing('rl/a').report(progress);
    await next;
    const [loading] = world.cache.info();
    await world.clock.step(2000);
    world.thing('rl/a').finishLoad();
    await waiting;

    assert.deepEqual([loading?.residency, loading?.progress], ['Converting', progress]);
    const [loaded] = world.cache.info();
    assert.equal(loaded?.residency, 'Loaded');
    assert.deepEqual(loaded?.seconds, { Downloading: 0, Converting: 2, Loading: 0 });
    assert.deepEqual(world.phases, ['Converting']);
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

  it('by what is preloaded only when nothing else would do', async () => {
    const world = new World({ isPrompt: true });
    const use = async (name: string) => (await world.acquire(name))[Symbol.dispose]();
    const preloaded = (name: string) => catalogModel(name, { preload: true });
    const names = () => world.residents().map(({ name }) => name);
    await world.cache.retain([preloaded('rl/a'), catalogModel('rl/b')]);
    await use('rl/a');
    await use('rl/b');

    await use('rl/c');
    const first = names();
    await world.cache.retain([preloaded('rl/a'), preloaded('rl/c')]);
    await use('rl/d');

    assert.deepEqual(
      [first, names()],
      [
        ['rl/a', 'rl/c'],
        ['rl/c', 'rl/d'],
      ],
    );
  });

  it('by what was measured, once that is known', async () => {
    const world = new World({ maxModels: 3, bytesOf: () => 40 });
    for (const name of ['rl/a', 'rl/b']) {
      const loading = world.acquire(name);
      await settle();
      world.thing(name).memory = host(name === 'rl/a' ? 10 : 50);
      world.thing(name).finishLoad();
      (await loading)[Symbol.dispose]();
    }
    assert.deepEqual(world.cache.residents().bytes, host(60));

    void world.acquire('rl/c');
    await settle();

    assert.ok(world.thing('rl/c').isResident, '40 fit beside 60');
    assert.equal(world.evictions, 0);
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
    assert.deepEqual(world.cache.residents(), { models: 0, bytes: { host: 0, device: 0 } });
    assert.deepEqual(world.deaths, ['Crashed']);
    lease[Symbol.dispose]();

    assert.equal((await world.acquire('rl/a')).value, world.things[1]);
  });

  it('loads again at once after a runner that was killed while it loaded', async () => {
    const world = new World();
    const failed = rejectsWith(world.acquire('rl/a'), 'RUNNER_DIED');
    await settle();
    world.thing('rl/a').finishLoad(new AppError('RUNNER_DIED', 'killed'));
    await failed;

    const again = world.acquire('rl/a');
    await settle();
    world.thing('rl/a').finishLoad();

    assert.equal((await again).value, world.things[1]);
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

  it('not a model whose catalog entry merely learnt the commit that it has', async () => {
    const world = new World({ isPrompt: true });
    const huggingFace = { repo: 'a/b', revision: 'main' };
    const onHub = (change: object = {}) =>
      catalogModel('rl/a', { source: { huggingFace: { ...huggingFace, ...change } } });
    (await world.cache.acquire(onHub(), forever))[Symbol.dispose]();

    await world.cache.retain([onHub({ commit: 'c0ffee' })]);
    const kept = names(world);
    await world.cache.retain([onHub({ revision: 'v2' })]);

    assert.deepEqual([kept, names(world)], [['rl/a'], []]);
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
