// The metrics of an operator process. One registry, passed down.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ApiCall } from '../kube/transport.ts';

export type QueueName = 'model' | 'pool';

export class ControllerMetrics {
  readonly registry = new Registry();
  readonly #apiSeconds: Histogram;
  readonly #reconcileSeconds: Histogram;
  readonly #reconcileErrors: Counter;
  readonly #writes: Counter;
  readonly #scalings: Counter;
  readonly #gateways: Gauge;
  readonly #isLeading: Gauge;
  readonly #depths = new Map<QueueName, () => number>();

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#apiSeconds = new Histogram({
      name: 'refmodel_operator_api_call_seconds',
      help: 'Time of calls to the Kubernetes API until their headers; code 0: no answer.',
      labelNames: ['method', 'code'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    });
    this.#reconcileSeconds = new Histogram({
      name: 'refmodel_operator_reconcile_seconds',
      help: 'Time of one run for a key of the queue.',
      labelNames: ['queue'],
      buckets: [0.001, 0.01, 0.1, 1, 10],
      registers,
    });
    this.#reconcileErrors = new Counter({
      name: 'refmodel_operator_reconcile_errors_total',
      help: 'Runs that failed and are tried again.',
      labelNames: ['queue'],
      registers,
    });
    this.#writes = new Counter({
      name: 'refmodel_operator_writes_total',
      help: 'Objects written to the Kubernetes API.',
      labelNames: ['kind', 'verb'],
      registers,
    });
    this.#scalings = new Counter({
      name: 'refmodel_operator_scalings_total',
      help: 'Changes of the replicas of a pool, by reason.',
      labelNames: ['reason'],
      registers,
    });
    this.#gateways = new Gauge({
      name: 'refmodel_operator_gateways',
      help: 'Gateways that are known, and those that reported demand last time.',
      labelNames: ['state'],
      registers,
    });
    this.#isLeading = new Gauge({
      name: 'refmodel_operator_leading',
      help: '1 while this process works, 0 while it waits for the Lease.',
      registers,
    });
    this.registry.registerMetric(depthGauge(this.#depths));
  }

  apiCall(call: ApiCall): void {
    this.#apiSeconds.observe({ method: call.method, code: call.status }, call.seconds);
  }

  reconciled(queue: QueueName, seconds: number): void {
    this.#reconcileSeconds.observe({ queue }, seconds);
  }

  reconcileFailed(queue: QueueName): void {
    this.#reconcileErrors.inc({ queue });
  }

  wrote(kind: string, verb: 'apply' | 'delete' | 'patch' | 'create'): void {
    this.#writes.inc({ kind, verb });
  }

  scaled(reason: string): void {
    this.#scalings.inc({ reason });
  }

  gateways(known: number, answered: number): void {
    this.#gateways.set({ state: 'known' }, known);
    this.#gateways.set({ state: 'answered' }, answered);
  }

  leading(isLeading: boolean): void {
    this.#isLeading.set(isLeading ? 1 : 0);
  }

  /** The depth is read when metrics are asked for. */
  queueDepth(queue: QueueName, depth: () => number): void {
    this.#depths.set(queue, depth);
  }
}

const depthGauge = (depths: ReadonlyMap<QueueName, () => number>): Gauge =>
  new Gauge({
    name: 'refmodel_operator_queue_depth',
    help: 'Keys that wait or run.',
    labelNames: ['queue'],
    registers: [],
    collect() {
      for (const [queue, depth] of depths) this.set({ queue }, depth());
    },
  });
