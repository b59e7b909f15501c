import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../../common/errors.ts';
import { silentLogger } from '../../../common/log.ts';
import { Changes } from '../../../server/changes.ts';
import type { CatalogModel } from '../../../server/contract.ts';
import { followCatalog } from '../../../server/follow.ts';
import { ModelCache } from '../../../server/model/cache/model-cache.ts';
import { BigramModels } from '../../support/bigram-model.ts';
import { silentObserver } from '../../support/cache-kit.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { catalogModel } from '../../support/server-kit.ts';

function world(models: CatalogModel[]) {
  const clock = new FakeClock();
  const loader = new BigramModels();
  const ending = new AbortController();
  const cache = new ModelCache({
    load: loader.load,
    limits: { maxModels: 2, memory: { host: 1e9, device: 0 } },
    loadTimeoutMs: 60_000,
    roomTimeoutMs: 60_000,
    clock,
    log: silentLogger,
    observer: silentObserver,
    shutdown: ending.signal,
  });
  const catalog = { models, changes: new Changes() };
  const following = followCatalog({ catalog, cache, clock, log: silentLogger }, ending.signal);
  return {
    clock,
    loader,
    cache,
    async setCatalog(next: CatalogModel[]) {
      catalog.models = next;
      catalog.changes.notify();
      await settle();
    },
    async [Symbol.asyncDispose]() {
      ending.abort(new Error('enough'));
      await following;
      await cache.close();
      assert.equal(clock.pending, 0);
    },
  };
}

const preloaded = (name: string) => catalogModel(name, { preload: true });

describe('followCatalog', () => {
  it('loads what asks for it, and only that', async () => {
    await using at = world([preloaded('rl/a'), catalogModel('rl/b')]);
    await settle();

    await at.setCatalog([preloaded('rl/a'), catalogModel('rl/b'), preloaded('rl/c')]);

    assert.deepEqual(at.loader.loads, ['rl/a', 'rl/c']);
  });

  it('loads it again when it is wanted anew', async () => {
    await using at = world([preloaded('rl/a')]);
    await settle();

    await at.setCatalog([catalogModel('rl/a')]);
    await at.cache.remove('rl/a');
    await at.setCatalog([preloaded('rl/a')]);

    assert.deepEqual(at.loader.loads, ['rl/a', 'rl/a']);
  });

  it('loads it once, though it was dropped since', async () => {
    await using at = world([preloaded('rl/a')]);
    await settle();

    await at.cache.clear();
    await at.clock.step(60_000);

    assert.deepEqual(at.loader.loads, ['rl/a']);
  });

  it('tries again some time after a failure', async () => {
    await using at = world([]);
    at.loader.failure = new AppError('LOAD_FAILED', 'not now');
    await at.setCatalog([preloaded('rl/a')]);
    assert.ok(!at.cache.contains('rl/a'));

    at.loader.failure = undefined;
    await at.clock.step(30_000);

    assert.ok(at.cache.contains('rl/a'));
  });

  it('drops models that are gone from the catalog', async () => {
    await using at = world([preloaded('rl/a'), preloaded('rl/b')]);
    await settle();

    await at.setCatalog([preloaded('rl/b')]);

    assert.deepEqual(
      at.cache.info().map((model) => model.name),
      ['rl/b'],
    );
    assert.deepEqual(
      at.loader.sessions.map((session) => session.isOpen),
      [false, true],
    );
  });
});
