// Builds a server from its parts and starts it. It does not know the process around it, nor how models load.
import { setMaxListeners } from 'node:events';
import { linkSignals, ShutdownError } from '../common/abort.ts';
import type { Clock } from '../common/clock.ts';
import { listen } from '../common/http.ts';
import type { Running } from '../common/lifecycle.ts';
import type { Logger } from '../common/log.ts';
import { noTracing, type Tracing } from '../common/tracing.ts';
import { createServerApp } from './app.ts';
import { Catalog } from './catalog.ts';
import type { ServerConfig } from './config.ts';
import { followCatalog } from './follow.ts';
import { createMetrics } from './metrics.ts';
import { ModelCache } from './model/cache/model-cache.ts';
import { type LoadedModel, loadForServing } from './model/loaded.ts';
import type { Bytes } from './model/memory.ts';
import type { LoadModel } from './model/scoring.ts';
import { bytesIn } from './model/store/inventory.ts';

export interface StartOptions {
  config: ServerConfig;
  load: LoadModel;
  clock: Clock;
  log: Logger;
  /** What models may hold together. */
  memory: Bytes;
  /** Default: none. */
  tracing?: Tracing;
}

/** `signal` ends loads and background work; `close` does so too, then waits for requests in flight. */
export async function startServer(
  { config, load, clock, log, memory, tracing = noTracing }: StartOptions,
  signal: AbortSignal,
): Promise<Running & { port: number }> {
  const shutdown = linkSignals(signal);
  setMaxListeners(0, shutdown.signal); // every load, wait and stream listens to it
  let isDraining = false;
  const metrics = createMetrics({
    residents: () => cache.residents(),
    limits: memory,
    models: () => cache.info(),
    disk: {
      bytes: () => bytesIn(config.REFMODEL_CACHE_DIR),
      limitBytes: config.REFMODEL_CACHE_BYTES,
    },
  });
  const cache: ModelCache<LoadedModel> = new ModelCache({
    load: loadForServing(load, {
      clock,
      log,
      maxQueuedRows: config.REFMODEL_MAX_QUEUED_ROWS,
      maxQueuedTokens: config.REFMODEL_MAX_QUEUED_TOKENS,
      isAhead: config.REFMODEL_EXECUTION_PROVIDER === 'CUDA',
      onPass: metrics.onPass,
      onPassed: metrics.onPassed,
      tracing,
      onHalved: metrics.onHalved,
      onConverted: metrics.onConverted,
    }),
    limits: {
      maxModels: config.REFMODEL_MAX_MODELS,
      memory,
    },
    loadTimeoutMs: config.REFMODEL_LOAD_TIMEOUT_MS,
    roomTimeoutMs: config.REFMODEL_CACHE_WAIT_MS,
    clock,
    log,
    observer: metrics.cache,
    tracing,
    shutdown: shutdown.signal,
  });
  const catalog = new Catalog({ path: config.REFMODEL_CATALOG, clock, log });
  const app = createServerApp({
    config,
    catalog,
    cache,
    metrics,
    tracing,
    memory,
    clock,
    log,
    isDraining: () => isDraining,
    shutdown: shutdown.signal,
  });

  await catalog.refresh();
  const listening = await listen(app, config.REFMODEL_PORT, config.REFMODEL_HOST);
  log.info({ port: listening.port }, 'listening');
  const background = Promise.all([
    catalog.run(shutdown.signal),
    followCatalog({ catalog, cache, clock, log }, shutdown.signal),
  ]);

  return {
    port: listening.port,
    failed: background.then(() => new Promise<never>(() => {})),
    drain() {
      isDraining = true;
      cache.changes.notify();
    },
    async close() {
      shutdown.abort(new ShutdownError('the process is ending'));
      await listening.close();
      await background;
      await cache.close();
      await tracing.close();
      shutdown[Symbol.dispose]();
    },
  };
}
