// Each second and pool: how many pods, decided purely, written on /scale. The only writer of replicas besides the
// gateways' wake from zero. Every write is guarded by the resourceVersion it was decided on.
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import { durationMs } from '../../crds/common.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import { isLoading } from '../../server/contract.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import { type Deployment, type Pod, refOf, resources } from '../kube/resources.ts';
import { type ModelKey, modelKey, type PoolKey } from '../pool.ts';
import { decideReplicas, type ModelActivity, neededPods, type PoolActivity } from '../scale.ts';
import { type DemandView, neverAsked } from './demand.ts';
import { Lately } from './lately.ts';
import type { ControllerMetrics } from './metrics.ts';
import { failureOf, isTerminating, startOf } from './plan/pods.ts';
import { requestTimeGranularityMs } from './plan/status.ts';
import type { World } from './world.ts';

export interface ScalerOptions {
  world: World;
  client: KubeClient;
  clock: Clock;
  log: Logger;
  metrics: ControllerMetrics;
}

export class Scaler {
  readonly #options: ScalerOptions;
  readonly #needed: Lately;

  constructor(options: ScalerOptions) {
    this.#options = options;
    this.#needed = new Lately(options.clock.now());
  }

  /** Brings every pool to the replicas that `demand` asks for. Rejects only when `signal` fires. */
  async step(demand: DemandView, signal: AbortSignal): Promise<void> {
    const pools = this.#options.world.pools();
    this.#needed.retain(new Set(pools.keys()));
    await Promise.all(
      [...pools].map(([pool, models]) => this.#scale(pool, { models, demand }, signal)),
    );
    signal.throwIfAborted();
  }

  async #scale(
    pool: PoolKey,
    { models, demand }: { models: readonly ReferenceModel[]; demand: DemandView },
    signal: AbortSignal,
  ): Promise<void> {
    const { client, clock, log, metrics, world } = this.#options;
    const deployment = world.deployments.get(pool);
    if (!deployment?.metadata?.resourceVersion) return; // not made yet
    const now = clock.now();
    const leased = world.leased(now);
    const facts = { deployment, models, demand, leased, pods: world.podsOf(pool), pool };
    const activity = poolActivity(facts, this.#needed, now);
    const { replicas, reason } = decideReplicas(activity, now);
    if (replicas === activity.current) return;
    const { resourceVersion } = deployment.metadata;
    try {
      const scale = { replicas, resourceVersion };
      await client.setScale(resources.deployments, refOf(deployment), scale, signal);
      metrics.scaled(reason);
      log.info({ pool, from: activity.current, to: replicas, reason }, 'scaled');
    } catch (err) {
      if (signal.aborted || isConflict(err) || isNotFound(err)) return; // the next look decides anew
      log.error({ err, pool }, 'cannot scale');
    }
  }
}

export interface PoolFacts {
  pool: PoolKey;
  deployment: Deployment;
  models: readonly ReferenceModel[];
  pods: readonly Pod[];
  demand: DemandView;
  leased: ReadonlySet<ModelKey>;
}

export function poolActivity(
  { pool, deployment, models, pods, demand, leased }: PoolFacts,
  lately: Lately,
  now: number,
): PoolActivity {
  const states = [...(demand.states.get(pool)?.values() ?? [])];
  const activities = models.map((model) => ({
    ...modelActivity(model, demand),
    isLeased: leased.has(modelKey(model)),
  }));
  const windowMs = Math.max(0, ...activities.map(({ idleTimeoutMs }) => idleTimeoutMs));
  return {
    current: deployment.spec?.replicas ?? 0,
    models: activities,
    neededLately: lately.most(pool, neededPods(activities), { now, windowMs }),
    isComplete: demand.isComplete,
    isLoading: states.some((state) => state.models.some(isLoading)),
    readySince: readySince(pods),
  };
}

function modelActivity(model: ReferenceModel, demand: DemandView): Omit<ModelActivity, 'isLeased'> {
  const { minReplicas, maxReplicas, concurrency, idleTimeout } = model.spec.scaling;
  const { asked, lastActivity } = demand.models.get(modelKey(model)) ?? neverAsked;
  return {
    minReplicas,
    maxReplicas,
    concurrency,
    idleTimeoutMs: durationMs(idleTimeout),
    asked,
    lastActivity: Math.max(lastActivity, storedActivity(model, Number.isFinite(lastActivity))),
  };
}

/**
 * The last request as the status has it. Where gateways know of none, they may have restarted, and the stored time
 * may be older than the truth by its granularity.
 */
function storedActivity({ status }: ReferenceModel, isReported: boolean): number {
  if (status?.lastRequestTime === undefined) return Number.NEGATIVE_INFINITY;
  return Date.parse(status.lastRequestTime) + (isReported ? 0 : requestTimeGranularityMs);
}

/**
 * Since when the youngest ready pod is ready. Where none is and one cannot become so, since that pod was created:
 * a pod that crashes for ever and that nobody asks for must not stay for ever.
 */
function readySince(pods: readonly Pod[]): number | undefined {
  const live = pods.filter((pod) => !isTerminating(pod));
  const latest = (times: (number | undefined)[]) => {
    const known = times.filter((time) => time !== undefined);
    return known.length > 0 ? Math.max(...known) : undefined;
  };
  const ready = latest(live.map((pod) => startOf(pod).ready));
  return ready ?? latest(live.filter(failureOf).map((pod) => startOf(pod).created));
}
