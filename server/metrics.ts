// The metrics of a server process.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Pass } from './model/batch.ts';
import type { CacheObserver } from './model/cache.ts';

const prefix = 'refmodel_server_';
const requestBuckets = [0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800];
const powers = (count: number) => Array.from({ length: count }, (_, i) => 2 ** i);

export interface ServerMetrics {
  registry: Registry;
  cache: CacheObserver;
  readonly onRequest: (route: string, code: number, seconds: number) => void;
  readonly onPass: (pass: Pass) => void;
  readonly onScored: (promptTokens: number, scoredTokens: number) => void;
}

/** `residents` is asked at every scrape. */
export function createMetrics(residents: () => { models: number; bytes: number }): ServerMetrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = <T extends string>(name: string, help: string, labelNames: T[]) =>
    new Counter({ name: prefix + name, help, labelNames, registers });
  const histogram = <T extends string>(
    name: string,
    help: string,
    options: { buckets: number[]; labelNames?: T[] },
  ) => new Histogram({ name: prefix + name, help, registers, ...options });

  const requests = counter('requests_total', 'Requests answered.', ['route', 'code']);
  const duration = histogram('request_duration_seconds', 'Time from a request to its answer.', {
    buckets: requestBuckets,
    labelNames: ['route'],
  });
  const promptTokens = counter('prompt_tokens_total', 'Tokens of scored requests.', []);
  const scoredTokens = counter('scored_tokens_total', 'Tokens whose log-prob was computed.', []);
  const paddedTokens = counter('padded_tokens_total', 'Tokens computed, padding included.', []);
  const batchRows = histogram('batch_rows', 'Rows of a pass.', { buckets: powers(11) });
  const batchTokens = histogram('batch_tokens', 'Tokens of a pass, without padding.', {
    buckets: powers(9).map((n) => n * 64),
  });
  const queue = histogram('queue_seconds', 'Time that the oldest row of a pass waited.', {
    buckets: requestBuckets,
  });
  const loads = histogram('load_seconds', 'Time of loads, by their error code.', {
    buckets: requestBuckets,
    labelNames: ['code'],
  });
  const evictions = counter('evictions_total', 'Models closed to make room.', []);
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: prefix + name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge('resident_models', 'Models that hold memory.', () => residents().models);
  gauge('resident_bytes', 'Bytes of the weights in memory.', () => residents().bytes);

  return {
    registry,
    cache: {
      onLoad: (seconds, code) => loads.observe({ code: code ?? 'OK' }, seconds),
      onEvict: () => evictions.inc(),
    },
    onRequest(route, code, seconds) {
      requests.inc({ route, code });
      duration.observe({ route }, seconds);
    },
    onPass(pass) {
      batchRows.observe(pass.rows);
      batchTokens.observe(pass.tokens);
      paddedTokens.inc(pass.paddedTokens);
      queue.observe(pass.waitedMs / 1000);
    },
    onScored(prompt, scored) {
      promptTokens.inc(prompt);
      scoredTokens.inc(scored);
    },
  };
}
