import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../../common/log.ts';
import { allSynced, Informer, type InformerOptions } from '../../../../operator/kube/informer.ts';
import { type ConfigMap, keyOf, resources } from '../../../../operator/kube/resources.ts';
import { classManifest, modelManifest } from '../../../support/builders.ts';
import { FakeClock } from '../../../support/clock.ts';
import { clientOf, never, stepUntil, until } from '../../../support/kube-kit.ts';
import { KubeServer } from '../../../support/kube-server.ts';

const collection = 'v1/configmaps';
const end = new Error('end of test');

/** A server, an informer of its ConfigMaps that runs, and how both end. */
async function running(options: Partial<InformerOptions<ConfigMap>> = {}) {
  const server = await KubeServer.start();
  const clock = new FakeClock();
  const client = clientOf(server, { clock });
  const informer = new Informer<ConfigMap>({
    client,
    clock,
    log: silentLogger,
    resource: resources.configMaps,
    ...options,
  });
  const stop = new AbortController();
  const ended = informer.run(stop.signal).catch((err: unknown) => err);
  return {
    server,
    clock,
    informer,
    stop,
    ended,
    put: (name: string, data: Record<string, string> = {}, namespace = 'rl') =>
      server.put(collection, { metadata: { name, namespace, labels: { app: 'x' } }, data }),
    async [Symbol.asyncDispose]() {
      stop.abort(end);
      await ended;
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const lists = (server: KubeServer) =>
  server.requests.filter(({ query }) => !query.has('watch')).length;

describe('Informer', () => {
  it('is synced once everything is listed, and then follows changes', async () => {
    await using t = await running();
    const seen: string[] = [];
    t.informer.onChange((key, now, before) => seen.push(`${key} ${before ? 1 : 0}→${now ? 1 : 0}`));
    assert.equal(t.informer.isSynced, false);
    await t.informer.synced;
    await until(() => t.server.watches === 1);

    t.put('a');
    t.put('a', { x: '1' });
    t.server.remove(collection, 'a', 'rl');
    await until(() => seen.length === 3);

    assert.deepEqual(seen, ['rl/a 0→1', 'rl/a 1→1', 'rl/a 1→0']);
    assert.deepEqual(t.informer.list(), []);
  });

  it('gives the same list until something changes, and a new one then', async () => {
    await using t = await running();
    await t.informer.synced;
    const before = t.informer.list();

    const isSame = t.informer.list() === before;
    t.put('a');
    await until(() => t.informer.get('rl/a') !== undefined);

    assert.ok(isSame);
    assert.deepEqual(before, []);
    assert.equal(t.informer.list().length, 1);
  });

  it('finds objects by what they are indexed under', async () => {
    const indexes = { colour: ({ data }: ConfigMap) => [data?.['colour'] ?? 'none'] };
    await using t = await running({ indexes });
    await t.informer.synced;

    t.put('a', { colour: 'red' });
    t.put('b', { colour: 'red' });
    t.put('b', { colour: 'blue' });
    await until(() => t.informer.get('rl/b')?.data?.['colour'] === 'blue');

    assert.deepEqual(
      t.informer.by('colour', 'red').map(({ metadata }) => metadata?.name),
      ['a'],
    );
    assert.equal(t.informer.by('colour', 'blue').length, 1);
    assert.deepEqual(t.informer.by('colour', 'green'), []);
  });

  it('goes on where it was when the watch breaks, without listing again', async () => {
    await using t = await running();
    await t.informer.synced;
    await until(() => t.server.watches === 1);
    t.put('a');
    await until(() => t.informer.get('rl/a') !== undefined);

    t.server.dropWatches();
    t.put('b');
    await until(() => t.clock.pending > 0 && t.server.watches === 0);
    await t.clock.step(1000);
    await until(() => t.informer.get('rl/b') !== undefined);

    assert.equal(lists(t.server), 1);
  });

  it('lists again when its version is too old, and forgets what is gone', async () => {
    await using t = await running();
    await t.informer.synced;
    await until(() => t.server.watches === 1);
    t.put('a');
    await until(() => t.informer.get('rl/a') !== undefined);

    t.server.dropWatches();
    t.server.remove(collection, 'a', 'rl');
    t.put('b');
    t.server.compact();
    await until(() => t.server.watches === 0);
    await stepUntil(t.clock, () => t.informer.get('rl/b') !== undefined);

    assert.equal(t.informer.get('rl/a'), undefined);
    assert.equal(lists(t.server), 2);
  });

  it('gives up a watch that stays silent for too long', async () => {
    await using t = await running({ watchSeconds: 10 });
    await t.informer.synced;
    await until(() => t.server.watches === 1);
    const watches = () => t.server.requests.filter(({ query }) => query.has('watch')).length;

    await stepUntil(t.clock, () => watches() === 2);

    assert.equal(lists(t.server), 1);
  });

  it('waits longer and longer while the server fails', async () => {
    await using t = await running();
    await t.informer.synced;
    await until(() => t.server.watches === 1);
    const failure = { status: 500, reason: 'InternalError' };
    t.server.failNext(failure, failure, failure);
    const before = t.clock.now();

    t.server.dropWatches();
    t.put('a');
    await stepUntil(t.clock, () => t.informer.get('rl/a') !== undefined, 10);

    // 200 ms, 400, 800 and 1600, each at least by half.
    assert.ok(t.clock.now() - before >= 1500);
  });

  it('bears a server that fails before the first list', async () => {
    const server = await KubeServer.start();
    const clock = new FakeClock();
    const client = clientOf(server, { clock });
    server.failNext({ status: 503, reason: 'ServiceUnavailable' });
    const informer = new Informer({ client, clock, log: silentLogger, resource: resources.pods });
    const stop = new AbortController();
    const ended = informer.run(stop.signal).catch((err: unknown) => err);

    await stepUntil(clock, () => informer.isSynced);

    stop.abort(end);
    assert.equal(await ended, end);
    client.close();
    await server[Symbol.asyncDispose]();
  });

  it('reads its own writes, and an older event does not undo them', async () => {
    await using t = await running();
    await t.informer.synced;
    await until(() => t.server.watches === 1);
    t.put('a', { n: '1' });
    await until(() => t.informer.get('rl/a') !== undefined);
    const old = t.informer.get('rl/a');
    assert.ok(old);
    const version = String(Number(old.metadata?.resourceVersion) + 10);
    const written = {
      ...old,
      metadata: { ...old.metadata, resourceVersion: version },
      data: { n: '9' },
    };

    t.informer.store(written);
    t.put('a', { n: '2' });
    t.put('b');
    await until(() => t.informer.get('rl/b') !== undefined);

    assert.equal(t.informer.get('rl/a')?.data?.['n'], '9');
  });

  it('does not bring back an object that the watch has seen go', async () => {
    await using t = await running();
    await t.informer.synced;
    await until(() => t.server.watches === 1);
    t.put('a');
    await until(() => t.informer.get('rl/a') !== undefined);
    const written = t.informer.get('rl/a');
    t.server.remove(collection, 'a', 'rl');
    await until(() => t.informer.get('rl/a') === undefined);

    if (written) t.informer.store(written);

    assert.equal(t.informer.get('rl/a'), undefined);
  });

  it('keeps to the namespaces that it is given, and is synced when all of them are', async () => {
    await using t = await running({ namespaces: ['one', 'two'] });
    t.put('a', {}, 'one');
    t.put('b', {}, 'two');
    t.put('c', {}, 'three');
    await allSynced([t.informer], never);
    await until(() => t.informer.list().length === 2);

    const names = new Set(t.informer.list().map(({ metadata }) => metadata?.name));
    assert.deepEqual(names, new Set(['a', 'b']));
  });

  it('keeps an object apart that it cannot read, and takes it in once it can', async () => {
    await using server = await KubeServer.start();
    const clock = new FakeClock();
    const client = clientOf(server, { clock });
    const models = 'refmodel.dev/v1alpha1/referencemodels';
    server.put(models, modelManifest({ spec: { quantization: 'Int2' } }));
    const resource = resources.referenceModels;
    const informer = new Informer({ client, clock, log: silentLogger, resource });
    const stop = new AbortController();
    const ended = informer.run(stop.signal).catch((err: unknown) => err);
    await informer.synced;
    await until(() => server.watches === 1);

    const unreadable = [...informer.unreadable.keys()];
    server.put(models, modelManifest({ spec: { quantization: 'Int8' } }));
    await until(() => informer.list().length === 1);

    assert.deepEqual(unreadable, ['rl/tiny']);
    assert.equal(informer.unreadable.size, 0);
    stop.abort(end);
    await ended;
    client.close();
  });

  it('keeps objects of a kind without namespaces when it lists again, and sees them go', async () => {
    await using server = await KubeServer.start();
    const clock = new FakeClock();
    const client = clientOf(server, { clock });
    const resource = resources.gpuClasses;
    const classes = 'refmodel.dev/v1alpha1/gpuclasses';
    server.put(classes, classManifest());
    const informer = new Informer({ client, clock, log: silentLogger, resource });
    const stop = new AbortController();
    const ended = informer.run(stop.signal).catch((err: unknown) => err);
    await informer.synced;
    await until(() => server.watches === 1);

    server.dropWatches();
    server.put(classes, classManifest({ metadata: { name: 'gpu' } }));
    server.compact();
    await until(() => server.watches === 0);
    await stepUntil(clock, () => lists(server) === 2 && server.watches === 1);
    const names = informer.list().map(keyOf);
    server.remove(classes, 'cpu');
    await until(() => informer.list().length === 1);

    assert.deepEqual(names.sort(), ['cpu', 'gpu']);
    assert.deepEqual([...informer.list()].map(keyOf), ['gpu']);
    stop.abort(end);
    await ended;
    client.close();
  });
});
