// Metrics of a gateway. Labels are models, pools and status codes: their number is bounded by the objects.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds. Cold starts of large models take minutes, so the buckets go to half an hour. */
const holdBuckets = [0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 100, 180, 300, 600, 1200, 1800];

export interface GatewayMetrics {
  registry: Registry;
  requests: Counter<'model' | 'status'>;
  holdSeconds: Histogram<'model'>;
  wakes: Counter<'pool'>;
  retries: Counter<'reason'>;
}

/** Counts that are read from their owners when someone scrapes. */
export interface GaugeSources {
  held(): { model: string; held: number }[];
  heldBytes(): number;
  inFlight(): { model: string; inFlight: number }[];
}

export function createMetrics(): GatewayMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    requests: new Counter({
      name: 'refmodel_gateway_requests_total',
      help: 'Requests answered, by model and status code. Status 499: the client left.',
      labelNames: ['model', 'status'],
      registers,
    }),
    holdSeconds: new Histogram({
      name: 'refmodel_gateway_hold_seconds',
      help: 'Time that held requests waited for a pod.',
      labelNames: ['model'],
      buckets: holdBuckets,
      registers,
    }),
    wakes: new Counter({
      name: 'refmodel_gateway_wakes_total',
      help: 'Times that the gateway asked for a pod.',
      labelNames: ['pool'],
      registers,
    }),
    retries: new Counter({
      name: 'refmodel_gateway_upstream_retries_total',
      help: 'Requests sent again, because a pod turned them away or broke before it answered.',
      labelNames: ['reason'],
      registers,
    }),
  };
}

export function addGauges({ registry }: GatewayMetrics, sources: GaugeSources): void {
  const add = (gauge: Gauge<'model'>) => registry.registerMetric(gauge);
  add(
    new Gauge({
      name: 'refmodel_gateway_held_requests',
      help: 'Requests that wait for a pod.',
      labelNames: ['model'],
      registers: [],
      collect() {
        this.reset();
        for (const { model, held } of sources.held()) this.set({ model }, held);
      },
    }),
  );
  add(
    new Gauge({
      name: 'refmodel_gateway_held_bytes',
      help: 'Bytes of the bodies of requests that wait for a pod.',
      registers: [],
      collect() {
        this.set(sources.heldBytes());
      },
    }),
  );
  add(
    new Gauge({
      name: 'refmodel_gateway_in_flight_requests',
      help: 'Requests sent to a pod and not answered yet.',
      labelNames: ['model'],
      registers: [],
      collect() {
        this.reset();
        for (const { model, inFlight } of sources.inFlight()) this.set({ model }, inFlight);
      },
    }),
  );
}
