// Pools as Deployments: models, classes and endpoints come from watches, a wake is a write to /scale.
// Those, only ever from zero to one, and the leases of runs are the only writes of a gateway.

import type { Clock } from '../../../common/clock.ts';
import type { Logger } from '../../../common/log.ts';
import type { GPUClass } from '../../../crds/gpu-class.ts';
import type { ReferenceModel } from '../../../crds/reference-model.ts';
import type { KubeClient } from '../../kube/client.ts';
import { ignoreNotFound, isConflict } from '../../kube/errors.ts';
import { Informer } from '../../kube/informer.ts';
import { type EndpointSlice, type Lease, type ObjectRef, resources } from '../../kube/resources.ts';
import { currentLeases, leaseName, leaseObject, leaseSelector } from '../../kube/run-lease.ts';
import type { RunLease } from '../../lease.ts';
import {
  classOf,
  labelNames,
  type ModelKey,
  modelKey,
  type PoolKey,
  splitKey,
} from '../../pool.ts';
import type { Backend, BackendChange, Endpoint, GatewayModel } from '../backend.ts';
import { Listeners } from './listeners.ts';
import {
  conditionOf,
  gatewayModel,
  type PoolEndpoints,
  poolEndpoints,
  poolsOf,
  unreadableModel,
} from './view.ts';

export interface KubernetesBackendOptions {
  client: KubeClient;
  clock: Clock;
  log: Logger;
  /** Empty: all. */
  namespaces: readonly string[];
  /** Where the leases of runs are kept: the gateway's own namespace. */
  leaseNamespace: string;
}

const fieldManager = 'refmodel-gateway';

/** A write that loses this often in a row is left to the next wake. */
const maxConflicts = 5;

export class KubernetesBackend implements Backend {
  readonly #options: KubernetesBackendOptions;
  readonly #client: KubeClient;
  readonly #leases: Informer<Lease>;
  readonly #models: Informer<ReferenceModel>;
  readonly #classes: Informer<GPUClass>;
  readonly #slices: Informer<EndpointSlice>;
  readonly #listeners = new Listeners();
  #view: ReadonlyMap<ModelKey, GatewayModel> = new Map();
  #endpoints: ReadonlyMap<PoolKey, PoolEndpoints> = new Map();

  constructor(given: KubernetesBackendOptions) {
    const { namespaces, leaseNamespace, ...options } = given;
    this.#options = given;
    this.#client = options.client;
    this.#leases = new Informer({
      ...options,
      resource: resources.leases,
      namespaces: [leaseNamespace],
      labelSelector: leaseSelector,
    });
    this.#models = new Informer({ ...options, namespaces, resource: resources.referenceModels });
    this.#classes = new Informer({ ...options, resource: resources.gpuClasses });
    this.#slices = new Informer({
      ...options,
      namespaces,
      resource: resources.endpointSlices,
      labelSelector: labelNames.pool,
      indexes: { pool: poolsOf },
    });
    this.#models.onChange((key) => this.#updateModels([key]));
    this.#classes.onChange(() => this.#updateModels([...this.#view.keys()]));
    this.#slices.onChange((_key, now, before) => {
      const pools = new Set([now, before].flatMap((slice) => (slice ? poolsOf(slice) : [])));
      for (const pool of pools) this.#updateEndpoints(pool);
    });
  }

  /** Watches until the signal fires, then rejects with its reason. */
  async run(signal: AbortSignal): Promise<never> {
    const informers = [this.#models, this.#classes, this.#slices, this.#leases];
    await Promise.all(informers.map((informer) => informer.run(signal)));
    throw new Error('watches end only with their signal');
  }

  isSynced(): boolean {
    return this.#models.isSynced && this.#classes.isSynced && this.#slices.isSynced;
  }

  models(): ReadonlyMap<ModelKey, GatewayModel> {
    return this.#view;
  }

  objects(): readonly ReferenceModel[] {
    return this.#models.list();
  }

  endpoints(pool: PoolKey): readonly Endpoint[] {
    return this.#endpoints.get(pool)?.ready ?? [];
  }

  starting(pool: PoolKey): readonly Endpoint[] {
    return this.#endpoints.get(pool)?.starting ?? [];
  }

  allEndpoints(): readonly Endpoint[] {
    return [...this.#endpoints.values()].flatMap(({ ready }) => ready);
  }

  subscribe(listener: (change: BackendChange) => void): () => void {
    return this.#listeners.add(listener);
  }

  async wake(pool: PoolKey, signal: AbortSignal): Promise<void> {
    if (this.#isBounded(pool)) return; // the operator counts what starts, and sees who waits here
    await this.#raise(splitKey(pool), signal);
  }

  /** From zero to one. */
  async #raise(ref: ObjectRef, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const scale = await this.#client.getScale(resources.deployments, ref, signal);
      if ((scale.spec?.replicas ?? 0) > 0) return;
      const resourceVersion = scale.metadata?.resourceVersion ?? '';
      try {
        const wanted = { replicas: 1, resourceVersion, fieldManager };
        await this.#client.setScale(resources.deployments, ref, wanted, signal);
        return;
      } catch (err) {
        if (!isConflict(err) || attempt === maxConflicts) throw err;
      }
    }
  }

  leases(): readonly RunLease[] {
    return currentLeases(this.#leases.list(), this.#options.clock.now());
  }

  async keepLease(lease: RunLease, signal: AbortSignal): Promise<void> {
    const object = leaseObject(lease, this.#options.clock.now());
    const metadata = { ...object.metadata, namespace: this.#options.leaseNamespace };
    const intent = { ...object, metadata };
    const options = { fieldManager, force: true, signal };
    this.#leases.store(await this.#client.apply(resources.leases, intent, options));
  }

  async dropLease(run: string, signal: AbortSignal): Promise<void> {
    const ref = { namespace: this.#options.leaseNamespace, name: leaseName(run) };
    await this.#client.delete(resources.leases, ref, {}, signal).catch(ignoreNotFound);
  }

  trouble(pool: PoolKey): string | undefined {
    const conditions = this.#modelsOf(pool).flatMap((model) =>
      (['Degraded', 'Loaded'] as const).flatMap((type) => conditionOf(model, type) ?? []),
    );
    const told =
      conditions.find(({ type, status }) => type === 'Degraded' && status === 'True') ??
      conditions.find(({ reason }) => reason === 'Queued');
    return told && `${told.reason}: ${told.message}`;
  }

  #modelsOf(pool: PoolKey): ReferenceModel[] {
    return this.#models.list().filter((model) => this.#view.get(modelKey(model))?.pool === pool);
  }

  /** Its class says how many pods start at a time. */
  #isBounded(pool: PoolKey): boolean {
    const classes = this.#classes.list();
    if (classes.every(({ spec }) => spec.maxStarting === undefined)) return false;
    return this.#modelsOf(pool).some((model) => {
      const found = classOf(model, classes);
      return 'gpuClass' in found && found.gpuClass.spec.maxStarting !== undefined;
    });
  }

  #updateModels(keys: readonly ModelKey[]): void {
    const view = new Map(this.#view);
    const changed = keys.filter((key) => {
      const now = this.#read(key);
      if (JSON.stringify(now) === JSON.stringify(view.get(key))) return false;
      if (now) view.set(key, now);
      else view.delete(key);
      return true;
    });
    if (changed.length === 0) return;
    this.#view = view;
    for (const model of changed) this.#listeners.notify({ model });
  }

  #read(key: ModelKey): GatewayModel | undefined {
    const model = this.#models.get(key);
    if (model) return gatewayModel(model, this.#classes.list());
    return this.#models.unreadable.has(key) ? unreadableModel(key) : undefined;
  }

  #updateEndpoints(pool: PoolKey): void {
    const before = this.#endpoints.get(pool) ?? none;
    const now = poolEndpoints(pool, this.#slices.by('pool', pool), before);
    if (isSame(now.ready, before.ready) && isSame(now.starting, before.starting)) return;
    const endpoints = new Map(this.#endpoints);
    if (now.ready.length + now.starting.length > 0) endpoints.set(pool, now);
    else endpoints.delete(pool);
    this.#endpoints = endpoints;
    this.#listeners.notify({ pool });
  }
}

const none: PoolEndpoints = { ready: [], starting: [] };

const isSame = (now: readonly Endpoint[], before: readonly Endpoint[]): boolean =>
  now.length === before.length && now.every((endpoint, i) => endpoint === before[i]);
