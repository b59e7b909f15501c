// Pool key → the objects of the pool, made, kept and removed. Level-based: it looks at what is, never at what happened.
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import type { KubeClient } from '../kube/client.ts';
import { ignoreNotFound, isRefused } from '../kube/errors.ts';
import { type Deployment, type Pod, refOf, resources } from '../kube/resources.ts';
import { labelNames, objectKey, type PoolKey, poolObjects, splitKey } from '../pool.ts';
import { judge } from '../verdict.ts';
import { type Applier, type Child, fieldManager, type Kind } from './apply.ts';
import { isBehind, telling } from './catalog-news.ts';
import type { ControllerMetrics } from './metrics.ts';
import { opening } from './plan/drain.ts';
import { isTerminating } from './plan/pods.ts';
import { handOverReplicas } from './replicas.ts';
import { catalogConfigMap, serviceAccount } from './resources/catalog.ts';
import { poolDeployment } from './resources/deployment.ts';
import { poolNetworkPolicy } from './resources/network-policy.ts';
import type { PodSettings, PoolPlan } from './resources/pool-plan.ts';
import { poolService } from './resources/services.ts';
import type { Troubles } from './troubles.ts';
import type { Result } from './workqueue.ts';
import type { World } from './world.ts';

export interface PoolReconcilerOptions {
  world: World;
  applier: Applier;
  client: KubeClient;
  clock: Clock;
  metrics: ControllerMetrics;
  settings: PodSettings;
  /** What models must know of their pools. */
  troubles: Troubles;
}

export class PoolReconciler {
  readonly #options: PoolReconcilerOptions;

  constructor(options: PoolReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(pool: PoolKey, signal: AbortSignal): Promise<Result> {
    const { world, troubles } = this.#options;
    const models = world.modelsOf(pool);
    const plan = this.#plan(pool, models);
    const isOver = models.length === 0 && !world.hasUnreadable(splitKey(pool).namespace);
    try {
      if (plan) await this.#make(plan, signal);
      else if (isOver) await this.#remove(pool, signal);
      troubles.set(pool, undefined);
    } catch (err) {
      signal.throwIfAborted();
      if (err instanceof AppError && err.code === 'NAME_TAKEN') {
        troubles.set(pool, { reason: 'NameTaken', message: err.message });
      } else if (isRefused(err)) {
        troubles.set(pool, { reason: 'ApplyFailed', message: err.message });
      }
      throw err;
    }
    return {};
  }

  #plan(pool: PoolKey, models: readonly ReferenceModel[]): PoolPlan | undefined {
    const [first] = models;
    const { clock, world } = this.#options;
    const gpuClass = first && judge(first, world.classes.list()).gpuClass;
    if (!gpuClass) return undefined;
    const { namespace, name } = splitKey(pool);
    return { namespace, pool: name, models, gpuClass, leased: world.leased(clock.now()) };
  }

  /** All names are looked at before anything is written: half a pool helps nobody. */
  async #make(plan: PoolPlan, signal: AbortSignal): Promise<void> {
    const { applier, settings } = this.#options;
    const kinds = this.#kinds();
    const policy = settings.traffic && poolNetworkPolicy(plan, settings.traffic);
    const desired = {
      serviceAccount: serviceAccount(plan),
      catalog: catalogConfigMap(plan),
      service: poolService(plan),
      deployment: poolDeployment(plan, settings),
    };
    const live = {
      serviceAccount: await applier.find(kinds.serviceAccount, desired.serviceAccount, signal),
      catalog: await applier.find(kinds.catalog, desired.catalog, signal),
      service: await applier.find(kinds.service, desired.service, signal),
      deployment: await applier.find(kinds.deployment, desired.deployment, signal),
    };
    const livePolicy = policy && (await applier.find(kinds.networkPolicy, policy, signal));
    const both = <K extends keyof typeof desired>(name: K) => ({
      live: live[name],
      desired: desired[name],
    });
    await applier.ensure(kinds.serviceAccount, both('serviceAccount'), signal);
    await applier.ensure(kinds.catalog, both('catalog'), signal);
    if (policy) {
      await applier.ensure(kinds.networkPolicy, { live: livePolicy, desired: policy }, signal);
    } else {
      const name = poolObjects(plan.pool).networkPolicy;
      await this.#removeOne(kinds.networkPolicy, objectKey(plan.namespace, name), signal);
    }
    await this.#openPods(plan, signal); // before the Service looks for it
    await applier.ensure(kinds.service, both('service'), signal);
    await this.#ensureDeployment(plan, both('deployment'), signal);
    await this.#tellPods(plan, signal);
  }

  async #ensureDeployment(
    plan: PoolPlan,
    { live, desired }: { live: Deployment | undefined; desired: Deployment },
    signal: AbortSignal,
  ): Promise<void> {
    const { applier } = this.#options;
    const kind = this.#kinds().deployment;
    if (live) {
      const handedOver = await handOverReplicas(applier, kind, live, signal);
      await applier.ensure(kind, { live: handedOver, desired }, signal);
      return;
    }
    const replicas = Math.max(...plan.models.map(({ spec }) => spec.scaling.minReplicas));
    const intent = { ...desired, spec: { ...desired.spec, replicas } };
    const made = await applier.apply(kind, intent, { fieldManager, force: false, signal });
    await handOverReplicas(applier, kind, made, signal);
  }

  /** Pods without the label: of a version that had none, or somebody took it away. */
  async #openPods({ namespace, pool }: PoolPlan, signal: AbortSignal): Promise<void> {
    const { world } = this.#options;
    const isBare = (pod: Pod) =>
      !isTerminating(pod) && pod.metadata?.labels?.[labelNames.traffic] === undefined;
    for (const pod of world.podsOf(objectKey(namespace, pool)).filter(isBare)) {
      await this.#patchPod(pod, opening, signal);
    }
  }

  /** Of a catalog that our own cache has: then the kubelet's is about to. */
  async #tellPods({ namespace, pool }: PoolPlan, signal: AbortSignal): Promise<void> {
    const { world } = this.#options;
    const catalog = world.configMaps.get(objectKey(namespace, poolObjects(pool).catalog));
    if (!catalog) return;
    for (const pod of world.podsOf(objectKey(namespace, pool))) {
      if (isBehind(pod, catalog)) await this.#patchPod(pod, telling(catalog), signal);
    }
  }

  async #patchPod(pod: Pod, change: object, signal: AbortSignal): Promise<void> {
    const { client, metrics, world } = this.#options;
    const told = await client
      .patch(resources.pods, refOf(pod), change, signal)
      .catch(ignoreNotFound);
    metrics.wrote('Pod', 'patch');
    if (told) world.pods.store(told);
  }

  /** Nobody needs the pool any more; the last model may have moved to another class, so no owner takes it along. */
  async #remove(pool: PoolKey, signal: AbortSignal): Promise<void> {
    const { namespace, name } = splitKey(pool);
    const names = poolObjects(name);
    const kinds = this.#kinds();
    const remove = <T extends Child>(kind: Kind<T>, object: string) =>
      this.#removeOne(kind, objectKey(namespace, object), signal);
    await remove(kinds.deployment, names.deployment);
    await remove(kinds.service, names.service);
    await remove(kinds.networkPolicy, names.networkPolicy);
    await remove(kinds.catalog, names.catalog);
    await remove(kinds.serviceAccount, names.serviceAccount);
  }

  async #removeOne<T extends Child>(
    kind: Kind<T>,
    key: string,
    signal: AbortSignal,
  ): Promise<void> {
    const live = kind.cache.get(key);
    if (live) await this.#options.applier.remove(kind, live, signal);
  }

  #kinds() {
    const { world } = this.#options;
    return {
      serviceAccount: { resource: resources.serviceAccounts, cache: world.serviceAccounts },
      catalog: { resource: resources.configMaps, cache: world.configMaps },
      networkPolicy: { resource: resources.networkPolicies, cache: world.networkPolicies },
      service: { resource: resources.services, cache: world.services },
      deployment: { resource: resources.deployments, cache: world.deployments },
    };
  }
}
