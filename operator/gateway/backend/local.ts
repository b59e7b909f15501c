// Pools as child processes on this machine: wake starts one, idleness stops it. At most one process per pool:
// a second one would share the same processors.

import { abortable } from '../../../common/abort.ts';
import { Backoff } from '../../../common/backoff.ts';
import type { Clock } from '../../../common/clock.ts';
import type { Logger } from '../../../common/log.ts';
import type { ReferenceModel } from '../../../crds/reference-model.ts';
import { isLoading } from '../../../server/contract.ts';
import type { DemandReport } from '../../demand.ts';
import { isCurrent, leasedModels, type RunLease } from '../../lease.ts';
import type { ModelKey, PoolKey } from '../../pool.ts';
import { decideReplicas, type ModelActivity, type ScaleReason } from '../../scale.ts';
import type { Backend, BackendChange, Endpoint, GatewayModel } from '../backend.ts';
import { Listeners } from './listeners.ts';
import type { ServerProcess } from './process.ts';

export interface LocalModel extends GatewayModel {
  readonly pool: PoolKey;
  readonly scaling: Pick<
    ModelActivity,
    'minReplicas' | 'maxReplicas' | 'concurrency' | 'idleTimeoutMs'
  >;
}

export interface LocalBackendOptions {
  models: readonly LocalModel[];
  /** What they were declared as. */
  objects: readonly ReferenceModel[];
  start: (pool: PoolKey) => ServerProcess;
  /** Has servers load these models before anybody asks; told when they become others. */
  preload: (models: ReadonlySet<ModelKey>) => void;
  clock: Clock;
  log: Logger;
}

/** What a pool's process is doing. Stopped: there is none. Stopping: out of routing, not gone yet. */
type Phase =
  | { name: 'Stopped' }
  | { name: 'Starting'; process: ServerProcess }
  | { name: 'Ready'; process: ServerProcess; endpoint: Endpoint; since: number }
  | { name: 'Stopping'; process: ServerProcess };

const crashRetry = { firstMs: 500, maxMs: 30_000 };
/** A process that was ready for this long did not crash because of how it was started. Milliseconds. */
const steadyMs = 60_000;

export class LocalBackend implements Backend {
  readonly #options: LocalBackendOptions;
  readonly #models: ReadonlyMap<ModelKey, LocalModel>;
  readonly #pools: ReadonlyMap<PoolKey, LocalPool>;
  readonly #listeners = new Listeners();
  readonly #leases = new Map<string, RunLease>();
  #leased = '';

  constructor(options: LocalBackendOptions) {
    this.#options = options;
    this.#models = new Map(options.models.map((model) => [model.key, model]));
    const keys = new Set(options.models.map(({ pool }) => pool));
    const changed = (pool: PoolKey) => this.#listeners.notify({ pool });
    this.#pools = new Map([...keys].map((key) => [key, new LocalPool(key, options, changed)]));
  }

  isSynced(): boolean {
    return true;
  }

  models(): ReadonlyMap<ModelKey, GatewayModel> {
    return this.#models;
  }

  objects(): readonly ReferenceModel[] {
    return this.#options.objects;
  }

  endpoints(pool: PoolKey): readonly Endpoint[] {
    return this.#pools.get(pool)?.endpoints ?? [];
  }

  /** A process tells its port when it is ready. */
  starting(): readonly Endpoint[] {
    return [];
  }

  allEndpoints(): readonly Endpoint[] {
    return [...this.#pools.values()].flatMap(({ endpoints }) => endpoints);
  }

  subscribe(listener: (change: BackendChange) => void): () => void {
    return this.#listeners.add(listener);
  }

  async wake(pool: PoolKey, signal: AbortSignal): Promise<void> {
    await this.#pools.get(pool)?.wake(signal);
  }

  leases(): readonly RunLease[] {
    const now = this.#options.clock.now();
    return [...this.#leases.values()].filter((lease) => isCurrent(lease, now));
  }

  async keepLease(lease: RunLease): Promise<void> {
    this.#leases.set(lease.run, lease);
  }

  async dropLease(run: string): Promise<void> {
    this.#leases.delete(run);
  }

  trouble(pool: PoolKey): string | undefined {
    return this.#pools.get(pool)?.failure;
  }

  /** Starts and stops what the report asks for, by the same rule as the operator's. */
  scale(report: DemandReport): void {
    const leased = this.#followLeases();
    for (const [key, pool] of this.#pools) {
      const { replicas, reason } = this.#decide(key, pool, { report, leased });
      if (replicas === 0) pool.stop(reason);
      else pool.start();
    }
  }

  /** Ends every process and waits until they are gone. Nothing starts afterwards. */
  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()));
  }

  #followLeases(): ReadonlySet<ModelKey> {
    const now = this.#options.clock.now();
    for (const lease of this.#leases.values()) {
      if (!isCurrent(lease, now)) this.#leases.delete(lease.run);
    }
    const leased = leasedModels([...this.#leases.values()]);
    const signature = [...leased].sort().join();
    if (signature !== this.#leased) this.#options.preload(leased);
    this.#leased = signature;
    return leased;
  }

  #decide(
    key: PoolKey,
    pool: LocalPool,
    { report, leased }: { report: DemandReport; leased: ReadonlySet<ModelKey> },
  ) {
    const states = report.pods.filter((pod) => pod.pool === key).map(({ state }) => state);
    const ofPool = [...this.#models.values()].filter((model) => model.pool === key);
    return decideReplicas(
      {
        current: pool.isRunning ? 1 : 0,
        models: ofPool.map((model) => ({
          ...activity(model, report),
          isLeased: leased.has(model.key),
        })),
        isComplete: states.length >= pool.endpoints.length,
        isLoading: states.some(({ models }) => models.some(isLoading)),
        readySince: pool.readySince,
        neededLately: 1,
      },
      this.#options.clock.now(),
    );
  }
}

function activity(
  { key, scaling }: LocalModel,
  report: DemandReport,
): Omit<ModelActivity, 'isLeased'> {
  const demand = report.models.find(({ model }) => model === key);
  const last = demand?.lastActivity;
  return {
    ...scaling,
    asked: (demand?.inFlight ?? 0) + (demand?.held ?? 0),
    lastActivity: last ? Date.parse(last) : Number.NEGATIVE_INFINITY,
  };
}

class LocalPool {
  readonly #key: PoolKey;
  readonly #options: LocalBackendOptions;
  readonly #onChange: (pool: PoolKey) => void;
  readonly #backoff = new Backoff(crashRetry);
  #phase: Phase = { name: 'Stopped' };
  #isClosed = false;
  #notBefore = 0;
  /** Why the last process ended by itself. */
  failure: string | undefined;

  constructor(key: PoolKey, options: LocalBackendOptions, onChange: (pool: PoolKey) => void) {
    this.#key = key;
    this.#options = options;
    this.#onChange = onChange;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#phase.name === 'Ready' ? [this.#phase.endpoint] : [];
  }

  get isRunning(): boolean {
    return this.#phase.name === 'Starting' || this.#phase.name === 'Ready';
  }

  get readySince(): number | undefined {
    return this.#phase.name === 'Ready' ? this.#phase.since : undefined;
  }

  async wake(signal: AbortSignal): Promise<void> {
    if (this.#phase.name === 'Stopping') await abortable(this.#phase.process.ended, signal);
    this.start();
  }

  /** One process, unless there is one or the last one crashed just now. */
  start(): void {
    const { clock, log, start } = this.#options;
    if (this.#phase.name !== 'Stopped' || this.#isClosed || clock.now() < this.#notBefore) return;
    const process = start(this.#key);
    log.info({ pool: this.#key, pid: process.pid }, 'server starts');
    this.#phase = { name: 'Starting', process };
    void process.port.then((port) => this.#ready(process, port));
    void process.ended.then((how) => this.#ended(process, how));
  }

  /** Out of routing first, in the same step as the decision; then the end of the process. */
  stop(reason: ScaleReason | 'Closing'): void {
    if (this.#phase.name !== 'Starting' && this.#phase.name !== 'Ready') return;
    const { process } = this.#phase;
    this.#options.log.info({ pool: this.#key, pid: process.pid, reason }, 'server stops');
    this.#phase = { name: 'Stopping', process };
    this.#onChange(this.#key);
    process.stop();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.stop('Closing');
    if (this.#phase.name === 'Stopping') await this.#phase.process.ended;
  }

  #ready(process: ServerProcess, port: number): void {
    if (this.#phase.name !== 'Starting' || this.#phase.process !== process) return;
    const host = '127.0.0.1';
    const endpoint = { id: `${host}:${port}`, pool: this.#key, host, port };
    this.#phase = { name: 'Ready', process, endpoint, since: this.#options.clock.now() };
    this.#onChange(this.#key);
  }

  #ended(process: ServerProcess, how: string): void {
    const phase = this.#phase;
    if (phase.name === 'Stopped' || phase.process !== process) return;
    this.#phase = { name: 'Stopped' };
    if (phase.name === 'Stopping') {
      this.#backoff.reset();
      this.failure = undefined;
    } else {
      this.#crashed(phase, how);
    }
    this.#onChange(this.#key);
  }

  #crashed(phase: Phase, how: string): void {
    const { clock, log } = this.#options;
    if (phase.name === 'Ready' && clock.now() - phase.since >= steadyMs) this.#backoff.reset();
    const delayMs = this.#backoff.next();
    this.#notBefore = clock.now() + delayMs;
    this.failure = how;
    log.warn({ pool: this.#key, how, delayMs }, 'server ended by itself');
  }
}
