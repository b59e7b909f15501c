// The metrics of an operator process. One registry, passed down.
import type { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { Metrics, type Reading } from '../../common/metrics.ts';
import type { ReferenceModelStatus } from '../../crds/reference-model.ts';
import type { ApiCall } from '../kube/transport.ts';

export type QueueName = 'model' | 'pool';

/** What a process that leads knows, read at each scrape. */
export interface ControllerSources {
  models(): readonly { model: string; status?: ReferenceModelStatus }[];
  pools(): readonly { pool: string; wanted: number; ready: number }[];
}

export class ControllerMetrics {
  readonly registry: Registry;
  readonly #apiSeconds: Histogram<'method' | 'code'>;
  readonly #reconcileSeconds: Histogram<'queue'>;
  readonly #reconcileErrors: Counter<'queue'>;
  readonly #writes: Counter<'kind' | 'verb'>;
  readonly #scalings: Counter<'reason'>;
  readonly #coldStarts: Histogram<'phase'>;
  readonly #gateways: Gauge<'state'>;
  readonly #isLeading: Gauge;
  readonly #depths = new Map<QueueName, () => number>();
  #sources: ControllerSources | undefined;

  constructor() {
    const metrics = new Metrics('refmodel_operator_');
    this.registry = metrics.registry;
    this.#apiSeconds = metrics.histogram(
      'api_call_seconds',
      'Time of calls to the Kubernetes API until their headers; code 0: no answer.',
      { labelNames: ['method', 'code'], buckets: [0.005, 0.02, 0.1, 0.5, 2, 10] },
    );
    this.#reconcileSeconds = metrics.histogram(
      'reconcile_seconds',
      'Time of one run for a key of the queue.',
      { labelNames: ['queue'], buckets: [0.001, 0.01, 0.1, 1, 10] },
    );
    this.#reconcileErrors = metrics.counter(
      'reconcile_errors_total',
      'Runs that failed and are tried again.',
      ['queue'],
    );
    this.#writes = metrics.counter('writes_total', 'Objects written to the Kubernetes API.', [
      'kind',
      'verb',
    ]);
    this.#scalings = metrics.counter(
      'scalings_total',
      'Changes of the replicas of a pool, by reason.',
      ['reason'],
    );
    this.#coldStarts = metrics.histogram(
      'cold_start_seconds',
      'Time of cold starts by phase: schedule, image, download, convert, load, and total.',
      { labelNames: ['phase'] },
    );
    for (const phase of coldStartPhases) this.#coldStarts.zero({ phase }); // a rate needs a start
    this.#gateways = metrics.gauge(
      'gateways',
      'Gateways that are known, and those that reported demand last time.',
      ['state'],
    );
    this.#isLeading = metrics.gauge(
      'leading',
      '1 while this process works, 0 while it waits for the Lease.',
    );
    metrics.reading('queue_depth', 'Keys that wait or run.', ['queue'], () =>
      Array.from(this.#depths, ([queue, depth]) => [{ queue }, depth()]),
    );
    metrics.reading(
      'model_condition',
      'Conditions of models: 1 True, 0 False, -1 Unknown. Of the process that leads.',
      ['model', 'condition'],
      () => this.#conditions(),
    );
    metrics.reading(
      'pool_replicas',
      'Pods of a pool: wanted, and ready. Of the process that leads.',
      ['pool', 'state'],
      () => this.#replicas(),
    );
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

  /** `phases`: seconds, as a status has them. */
  coldStart(phases: NonNullable<ReferenceModelStatus['coldStart']>): void {
    for (const [phase, seconds] of Object.entries(phases)) {
      this.#coldStarts.observe({ phase }, Number(seconds));
    }
  }

  gateways(known: number, answered: number): void {
    this.#gateways.set({ state: 'known' }, known);
    this.#gateways.set({ state: 'answered' }, answered);
  }

  /** `sources` while this process leads, undefined when it does not: two would count everything twice. */
  leading(sources: ControllerSources | undefined): void {
    this.#sources = sources;
    this.#isLeading.set(sources ? 1 : 0);
  }

  /** The depth is read when metrics are asked for. */
  queueDepth(queue: QueueName, depth: () => number): void {
    this.#depths.set(queue, depth);
  }

  #conditions(): Reading<'model' | 'condition'>[] {
    return (this.#sources?.models() ?? []).flatMap(({ model, status }) =>
      (status?.conditions ?? []).map(
        ({ type, status: value }) => [{ model, condition: type }, truth[value]] as const,
      ),
    );
  }

  #replicas(): Reading<'pool' | 'state'>[] {
    return (this.#sources?.pools() ?? []).flatMap(({ pool, wanted, ready }) => [
      [{ pool, state: 'wanted' }, wanted] as const,
      [{ pool, state: 'ready' }, ready] as const,
    ]);
  }
}

const coldStartPhases = ['schedule', 'image', 'download', 'convert', 'load', 'total'];

const truth = { True: 1, False: 0, Unknown: -1 } as const;
