// What a scoring route stands on: bigram models behind a real cache and real queues.
import { silentLogger } from '../../common/log.ts';
import type { Scoring } from '../../server/api/leased.ts';
import { ModelCache } from '../../server/model/cache/model-cache.ts';
import { loadForServing } from '../../server/model/loaded.ts';
import { BigramModels, type BigramOptions } from './bigram-model.ts';
import { silentObserver } from './cache-kit.ts';
import { FakeClock } from './clock.ts';

export const forever = new AbortController().signal;

export function scoringKit(options: BigramOptions = {}) {
  const models = new BigramModels(options);
  const clock = new FakeClock();
  const cache = new ModelCache({
    load: loadForServing(models.load, {
      clock,
      log: silentLogger,
      maxQueuedRows: 100,
      maxQueuedTokens: 10_000,
      onPass: () => {},
      onHalved: () => {},
      onConverted: () => {},
    }),
    limits: { maxModels: 1, memory: { host: 1e6, device: 0 } },
    loadTimeoutMs: 60_000,
    roomTimeoutMs: 60_000,
    clock,
    log: silentLogger,
    observer: silentObserver,
    shutdown: forever,
  });
  const scored: [number, number][] = [];
  const scoring: Scoring = {
    cache,
    limits: { maxRows: 4, maxTokens: 200 },
    metrics: { onScored: (prompt, values) => void scored.push([prompt, values]) },
  };
  return { models, cache, scoring, scored };
}
