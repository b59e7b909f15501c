// Brings the cache in line with the catalog: what is gone or changed there goes here, what asks for it is preloaded.
import { abortable, withTimeout } from '../common/abort.ts';
import type { Clock } from '../common/clock.ts';
import type { Logger } from '../common/log.ts';
import type { Catalog } from './catalog.ts';
import type { CatalogModel } from './contract.ts';
import type { Closable, ModelCache } from './model/cache/model-cache.ts';

export interface FollowOptions<T extends Closable> {
  catalog: Pick<Catalog, 'models' | 'changes'>;
  cache: ModelCache<T>;
  log: Logger;
  clock: Clock;
}

/** A preload that failed is tried again after this time. */
const retryMs = 30_000;

/** Runs until the signal fires. */
export async function followCatalog<T extends Closable>(
  options: FollowOptions<T>,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([dropStale(options, signal), preload(options, signal)]);
}

async function dropStale<T extends Closable>(
  { catalog, cache }: FollowOptions<T>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const { next } = catalog.changes;
    await cache.retain(catalog.models);
    await abortable(next, signal).catch(() => {}); // the loop ends
  }
}

/** One after another, each once as it stands: what was evicted since is loaded by its next request. */
async function preload<T extends Closable>(
  { catalog, cache, log, clock }: FollowOptions<T>,
  signal: AbortSignal,
): Promise<void> {
  const done = new Set<string>();
  const missing = () =>
    catalog.models.filter((model) => model.preload && !done.has(JSON.stringify(model)));
  while (!signal.aborted) {
    const { next } = catalog.changes;
    const stands = new Set(catalog.models.map((model) => JSON.stringify(model)));
    for (const model of done) if (!stands.has(model)) done.delete(model); // it may be wanted again
    for (const model of missing()) {
      if (await load(model)) done.add(JSON.stringify(model));
    }
    using wait = withTimeout(signal, retryMs, clock);
    await abortable(next, wait.signal).catch(() => {}); // look again, or the loop ends
  }

  async function load(model: CatalogModel): Promise<boolean> {
    try {
      (await cache.acquire(model, signal))[Symbol.dispose]();
      return true;
    } catch (err) {
      if (!signal.aborted) log.warn({ err, model: model.name }, 'preloading a model failed');
      return false;
    }
  }
}
