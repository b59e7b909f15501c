// Metrics of a gateway. Labels are models, pools and codes: their number is bounded by the objects.
import type { Counter, Histogram, Registry } from 'prom-client';
import { Metrics } from '../../common/metrics.ts';

/** Seconds: where holds usually end, and where clients give up. */
const holdBuckets = [0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 100, 180, 300, 600, 1200, 1800];

/** Seconds: a write to the Kubernetes API, well and badly. */
const wakeBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export interface GatewayMetrics {
  registry: Registry;
  requests: Counter<'model' | 'code'>;
  requestSeconds: Histogram<'model'>;
  errors: Counter<'model' | 'error'>;
  holdSeconds: Histogram<'model'>;
  wakes: Counter<'pool'>;
  wakeFailures: Counter<'pool'>;
  wakeSeconds: Histogram;
  retries: Counter<'reason'>;
}

/** Counts that are read from their owners when someone scrapes. */
export interface GaugeSources {
  held(): { model: string; held: number }[];
  heldBytes(): number;
  inFlight(): { model: string; inFlight: number }[];
  /** The pool of each ready pod. */
  endpoints(): readonly { pool: string }[];
}

export function createMetrics(sources: GaugeSources): GatewayMetrics {
  const metrics = new Metrics('refmodel_gateway_');
  addGauges(metrics, sources);
  return {
    registry: metrics.registry,
    requests: metrics.counter(
      'requests_total',
      'Requests answered, by model and status code. Code 499: the client left. Model "none": it names none that there is.',
      ['model', 'code'],
    ),
    requestSeconds: metrics.histogram(
      'request_duration_seconds',
      'Time from a request to the end of its answer, holds included.',
      { labelNames: ['model'] },
    ),
    errors: metrics.counter(
      'errors_total',
      'Requests that the gateway itself answered with an error, by its code (docs/errors.md).',
      ['model', 'error'],
    ),
    holdSeconds: metrics.histogram('hold_seconds', 'Time that held requests waited for a pod.', {
      labelNames: ['model'],
      buckets: holdBuckets,
    }),
    wakes: metrics.counter('wakes_total', 'Times that the gateway asked for a pod.', ['pool']),
    wakeFailures: metrics.counter(
      'wake_failures_total',
      'Times that asking for a pod failed; it is asked again.',
      ['pool'],
    ),
    wakeSeconds: metrics.histogram(
      'wake_seconds',
      'Time from a request that found no pod until it is written that one is wanted.',
      { buckets: wakeBuckets },
    ),
    retries: metrics.counter(
      'upstream_retries_total',
      'Requests sent again: TurnedAway, the pod did no work; Broke, it ended before it answered.',
      ['reason'],
    ),
  };
}

function addGauges(metrics: Metrics, sources: GaugeSources): void {
  metrics.reading('held_requests', 'Requests that wait for a pod.', ['model'], () =>
    sources.held().map(({ model, held }) => [{ model }, held]),
  );
  metrics.readingOf('held_bytes', 'Bytes of the bodies of requests that wait for a pod.', () =>
    sources.heldBytes(),
  );
  metrics.reading(
    'in_flight_requests',
    'Requests sent to a pod and not answered yet.',
    ['model'],
    () => sources.inFlight().map(({ model, inFlight }) => [{ model }, inFlight]),
  );
  metrics.reading('endpoints', 'Ready pods that the gateway knows.', ['pool'], () =>
    countBy(sources.endpoints().map(({ pool }) => pool)).map(([pool, count]) => [{ pool }, count]),
  );
}

function countBy(names: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts];
}
