// Joins caches, queues, demand and scaler: which change makes which key run. Decides nothing itself.
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import { labelNames, type ModelKey, modelKey, type PoolKey } from '../pool.ts';
import { judge } from '../verdict.ts';
import { Applier } from './apply.ts';
import {
  DemandCollector,
  type DemandView,
  gatewayUrls,
  stateSignature,
  unknownDemand,
} from './demand.ts';
import { Recorder } from './events.ts';
import { LeaseReaper } from './lease-reaper.ts';
import type { ControllerMetrics, QueueName } from './metrics.ts';
import { isRequestTimeStale } from './plan/status.ts';
import { ModelReconciler } from './reconcile-model.ts';
import { PoolReconciler } from './reconcile-pool.ts';
import type { PodSettings } from './resources/pool-plan.ts';
import { Scaler } from './scaler.ts';
import { together } from './together.ts';
import { Troubles } from './troubles.ts';
import { type Handler, WorkQueue } from './workqueue.ts';
import { poolOf, type World } from './world.ts';

export interface ControllerOptions {
  world: World;
  client: KubeClient;
  clock: Clock;
  log: Logger;
  metrics: ControllerMetrics;
  settings: PodSettings;
  /** Full DNS name of the gateways' Service. */
  gatewayHost: string;
  /** Name of this process. */
  identity: string;
  workers: number;
  /** Time between two looks at demand. Milliseconds. */
  demandIntervalMs: number;
}

/** Longest time between two tries of what failed. Milliseconds. */
const maxRetryMs = 60_000;
/** Time between two looks at demand while pods are on their way out. Milliseconds. */
const drainingMs = 250;

export class Controller {
  readonly #options: ControllerOptions;
  readonly #pools: WorkQueue;
  readonly #models: WorkQueue;
  readonly #reconcilePool: Handler;
  readonly #reconcileModel: Handler;
  readonly #collector: DemandCollector;
  readonly #scaler: Scaler;
  readonly #reaper: LeaseReaper;
  #demand: DemandView = unknownDemand;
  #leased: ReadonlySet<ModelKey> = new Set();

  constructor(options: ControllerOptions) {
    const { clock, demandIntervalMs, log, metrics, client, identity, world } = options;
    this.#options = options;
    this.#pools = this.#queue('pool');
    this.#models = this.#queue('model');
    const applier = new Applier(client, metrics);
    const troubles = new Troubles((pool) => this.#addModelsOf(pool));
    const recorder = new Recorder({ client, clock, log, metrics, instance: identity });
    const pools = new PoolReconciler({ ...options, applier, troubles });
    const models = new ModelReconciler({
      ...options,
      applier,
      recorder,
      troubles,
      demand: () => this.#demand,
    });
    this.#reconcilePool = (key, signal) => pools.reconcile(key, signal);
    this.#reconcileModel = (key, signal) => models.reconcile(key, signal);
    this.#collector = new DemandCollector({
      clock,
      log,
      timeoutMs: Math.max(demandIntervalMs, 1000),
      urls: () => gatewayUrls(world.gatewaySlices.list()),
      isKnown: (model) => world.models.get(model) !== undefined,
    });
    this.#scaler = new Scaler(options);
    this.#reaper = new LeaseReaper(options);
  }

  /** Works until `signal` fires, then rejects with its reason once all runs have ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { world } = this.#options;
    await world.synced(signal);
    const stops = this.#listen();
    try {
      this.#addEverything();
      await together(
        [
          (link) => this.#pools.run(this.#reconcilePool, link),
          (link) => this.#models.run(this.#reconcileModel, link),
          (link) => this.#followDemand(link),
        ],
        signal,
      );
    } finally {
      for (const stop of stops) stop();
    }
  }

  #queue(name: QueueName): WorkQueue {
    const { clock, log, metrics, workers } = this.#options;
    const queue = new WorkQueue({
      clock,
      workers,
      firstMs: 100,
      maxMs: maxRetryMs,
      onRun: (seconds) => metrics.reconciled(name, seconds),
      onError: (key, err, failures) => {
        metrics.reconcileFailed(name);
        const level = isExpected(err) ? 'debug' : 'error';
        log[level]({ err, queue: name, key, failures }, 'reconcile failed');
      },
    });
    metrics.queueDepth(name, () => queue.depth);
    return queue;
  }

  /** Which key runs after which change. Returns how to stop listening. */
  #listen(): (() => void)[] {
    const { world } = this.#options;
    const addPoolOf = (
      now?: Parameters<typeof poolOf>[0],
      before?: Parameters<typeof poolOf>[0],
    ) => {
      for (const object of [now, before]) {
        const pool = object && poolOf(object);
        if (pool === undefined) continue;
        this.#pools.add(pool);
        this.#addModelsOf(pool);
      }
    };
    return [
      world.models.onChange((key, now, before) => {
        this.#models.add(key);
        for (const model of [now, before]) if (model) this.#addPoolOfModel(model);
      }),
      world.classes.onChange(() => this.#addEverything()),
      ...world.poolCaches.map((cache) =>
        cache.onChange((_key, now, before) => addPoolOf(now, before)),
      ),
      world.pods.onChange((_key, now, before) => addPoolOf(now, before)),
      world.services.onChange((key, now, before) => {
        if (labelNames.model in ((now ?? before)?.metadata?.labels ?? {})) this.#models.add(key);
      }),
    ];
  }

  #addPoolOfModel(model: ReferenceModel): void {
    const { pool } = judge(model, this.#options.world.classes.list());
    if (pool !== undefined) this.#pools.add(pool);
  }

  #addModelsOf(pool: PoolKey): void {
    for (const model of this.#options.world.modelsOf(pool)) this.#models.add(modelKey(model));
  }

  /** Every model, and every pool that has a model or an object: also those whose models went while nobody looked. */
  #addEverything(): void {
    const { world } = this.#options;
    for (const model of world.models.list()) this.#models.add(modelKey(model));
    for (const pool of world.pools().keys()) this.#pools.add(pool);
    for (const object of world.poolCaches.flatMap((cache) => [...cache.list()])) {
      const pool = poolOf(object);
      if (pool !== undefined) this.#pools.add(pool);
    }
  }

  async #followDemand(signal: AbortSignal): Promise<void> {
    const { clock, demandIntervalMs, metrics } = this.#options;
    for (;;) {
      const startedAt = clock.now();
      const before = this.#demand;
      this.#demand = await this.#collector.collect(signal);
      metrics.gateways(this.#demand.gateways.known, this.#demand.gateways.answered);
      this.#addChanged(before, this.#demand);
      this.#followLeases();
      const isDraining = await this.#scaler.step(this.#demand, signal);
      await this.#reaper.step(signal);
      const intervalMs = isDraining ? Math.min(drainingMs, demandIntervalMs) : demandIntervalMs;
      await clock.delay(Math.max(0, startedAt + intervalMs - clock.now()), signal);
    }
  }

  /** Pools whose catalog says another thing of a model, since a run wants it warm or no longer does. */
  #followLeases(): void {
    const { clock, world } = this.#options;
    const before = this.#leased;
    this.#leased = world.leased(clock.now());
    for (const key of new Set([...before, ...this.#leased])) {
      const model = world.models.get(key);
      if (model && before.has(key) !== this.#leased.has(key)) this.#addPoolOfModel(model);
    }
  }

  /** Models whose status depends on what has changed between two looks. */
  #addChanged(before: DemandView, now: DemandView): void {
    for (const pool of new Set([...before.states.keys(), ...now.states.keys()])) {
      const [was, is] = [before, now].map(({ states }) => stateSignature(states.get(pool)));
      if (was !== is) this.#addModelsOf(pool);
    }
    for (const [key, { asked, lastActivity }] of now.models) {
      if (
        this.#isNews(key, {
          wasAsked: (before.models.get(key)?.asked ?? 0) > 0,
          isAsked: asked > 0,
          lastActivity,
        })
      ) {
        this.#models.add(key);
      }
    }
  }

  #isNews(
    key: ModelKey,
    demand: { wasAsked: boolean; isAsked: boolean; lastActivity: number },
  ): boolean {
    const { status } = this.#options.world.models.get(key) ?? {};
    return demand.wasAsked !== demand.isAsked || isRequestTimeStale(status, demand.lastActivity);
  }
}

/** Normal in a cluster where others write too: looked at again, no one need act. */
const isExpected = (err: unknown): boolean =>
  isConflict(err) || isNotFound(err) || (err instanceof AppError && err.code === 'NAME_TAKEN');
