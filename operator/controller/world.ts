// What the operator knows of the cluster: one cache per kind, and the questions asked across them. Writes nothing.
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import type { GPUClass } from '../../crds/gpu-class.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import type { KubeClient } from '../kube/client.ts';
import { allSynced, Informer, type InformerOptions } from '../kube/informer.ts';
import {
  type ConfigMap,
  type Deployment,
  type EndpointSlice,
  type KubeObject,
  type Lease,
  type NetworkPolicy,
  type Pod,
  type Resource,
  resources,
  type Service,
  type ServiceAccount,
} from '../kube/resources.ts';
import { currentLeases, leaseSelector } from '../kube/run-lease.ts';
import { leasedModels } from '../lease.ts';
import { labelNames, type ModelKey, managedBy, type PoolKey, splitKey } from '../pool.ts';
import { judge } from '../verdict.ts';
import type { Labelled } from './resources/meta.ts';

export interface WorldOptions {
  client: KubeClient;
  clock: Clock;
  log: Logger;
  /** Empty: all. */
  namespaces: readonly string[];
  /** Where the gateways run, and the Service whose EndpointSlices name them. */
  gateways: { namespace: string; service: string };
}

const byNamespace = 'namespace';
const byPool = 'pool';

/** "<namespace>/<pool>" of an object with the pool's label. */
export function poolOf(object: Labelled & KubeObject): PoolKey | undefined {
  const pool = object.metadata?.labels?.[labelNames.pool];
  return pool === undefined ? undefined : `${object.metadata?.namespace}/${pool}`;
}

const poolIndex = { [byPool]: (object: Labelled & KubeObject) => [poolOf(object) ?? ''] };

export class World {
  readonly models: Informer<ReferenceModel>;
  readonly classes: Informer<GPUClass>;
  readonly deployments: Informer<Deployment>;
  readonly services: Informer<Service>;
  readonly serviceAccounts: Informer<ServiceAccount>;
  readonly configMaps: Informer<ConfigMap>;
  readonly networkPolicies: Informer<NetworkPolicy>;
  readonly pods: Informer<Pod>;
  readonly gatewaySlices: Informer<EndpointSlice>;
  readonly leases: Informer<Lease>;
  #pools: {
    of: readonly [models?: readonly ReferenceModel[], classes?: readonly GPUClass[]];
    found: ReadonlyMap<PoolKey, readonly ReferenceModel[]>;
  } = { of: [], found: new Map() };

  constructor(options: WorldOptions) {
    const { client, clock, log, namespaces, gateways } = options;
    const ours = `${labelNames.managedBy}=${managedBy}`;
    const follow = <T extends KubeObject>(
      resource: Resource<T>,
      more: Partial<InformerOptions<T>> = {},
    ) => new Informer({ client, clock, log, resource, namespaces, ...more });
    this.models = follow(resources.referenceModels, {
      indexes: { [byNamespace]: ({ metadata }) => [metadata.namespace] },
    });
    this.classes = follow(resources.gpuClasses, { namespaces: [] });
    this.deployments = follow(resources.deployments, { labelSelector: ours });
    this.services = follow(resources.services, { labelSelector: ours });
    this.serviceAccounts = follow(resources.serviceAccounts, { labelSelector: ours });
    this.configMaps = follow(resources.configMaps, { labelSelector: ours });
    this.networkPolicies = follow(resources.networkPolicies, { labelSelector: ours });
    this.pods = follow(resources.pods, {
      labelSelector: labelNames.pool,
      indexes: poolIndex,
    });
    this.gatewaySlices = follow(resources.endpointSlices, {
      namespaces: [gateways.namespace],
      labelSelector: `kubernetes.io/service-name=${gateways.service}`,
    });
    this.leases = follow(resources.leases, {
      namespaces: [gateways.namespace],
      labelSelector: leaseSelector,
    });
  }

  /** The caches of objects that belong to a pool, in the order in which they are made. */
  get poolCaches() {
    const { serviceAccounts, configMaps, networkPolicies, services, deployments } = this;
    return [serviceAccounts, configMaps, networkPolicies, services, deployments] as const;
  }

  get #all() {
    const { models, classes, pods, gatewaySlices, leases } = this;
    return [models, classes, ...this.poolCaches, pods, gatewaySlices, leases];
  }

  /** Keeps everything up to date until `signal` fires. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.run(signal)));
  }

  async synced(signal: AbortSignal): Promise<void> {
    await allSynced(this.#all, signal);
  }

  get isSynced(): boolean {
    return this.#all.every((informer) => informer.isSynced);
  }

  /** The models that a pool serves, by name: accepted, and not on their way out. */
  modelsOf(pool: PoolKey): ReferenceModel[] {
    const { namespace } = splitKey(pool);
    const classes = this.classes.list();
    return this.models
      .by(byNamespace, namespace)
      .filter((model) => !isDeleting(model) && judge(model, classes).pool === pool)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  /** Every pool that has a model, with its models; the same map until a model or a class changes. */
  pools(): ReadonlyMap<PoolKey, readonly ReferenceModel[]> {
    const [models, classes] = [this.models.list(), this.classes.list()];
    const { of } = this.#pools;
    if (of[0] !== models || of[1] !== classes) {
      this.#pools = { of: [models, classes], found: poolsOf(models, classes) };
    }
    return this.#pools.found;
  }

  /** The models that a run holds a lease on at that time. */
  leased(now: number): ReadonlySet<ModelKey> {
    return leasedModels(currentLeases(this.leases.list(), now));
  }

  podsOf(pool: PoolKey): readonly Pod[] {
    return this.pods.by(byPool, pool);
  }

  /** True when an object that this version cannot read may belong to a pool of the namespace. */
  hasUnreadable(namespace: string): boolean {
    return (
      this.classes.unreadable.size > 0 ||
      [...this.models.unreadable.keys()].some((key) => splitKey(key).namespace === namespace)
    );
  }
}

function poolsOf(
  models: readonly ReferenceModel[],
  classes: readonly GPUClass[],
): Map<PoolKey, ReferenceModel[]> {
  const pools = new Map<PoolKey, ReferenceModel[]>();
  for (const model of models) {
    const { pool } = judge(model, classes);
    if (pool === undefined || isDeleting(model)) continue;
    const members = pools.get(pool);
    if (members) members.push(model);
    else pools.set(pool, [model]);
  }
  return pools;
}

export const isDeleting = (model: ReferenceModel): boolean =>
  model.metadata.deletionTimestamp !== undefined;
