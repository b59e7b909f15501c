// What is known of a pool, as the rules of scaling want to hear it. Pure.
import { durationMs } from '../../../crds/common.ts';
import type { ReferenceModel } from '../../../crds/reference-model.ts';
import { isLoading } from '../../../server/contract.ts';
import type { Deployment, Pod } from '../../kube/resources.ts';
import { type ModelKey, modelKey, type PoolKey } from '../../pool.ts';
import { type ModelActivity, neededPods, type PoolActivity } from '../../scale.ts';
import { type DemandView, neverAsked } from '../demand.ts';
import type { Lately } from '../lately.ts';
import { type DrainFacts, openReplicas } from './drain.ts';
import { failureOf, isTerminating, startOf } from './pods.ts';
import { requestTimeGranularityMs } from './status.ts';

export interface PoolFacts {
  pool: PoolKey;
  deployment: Deployment;
  models: readonly ReferenceModel[];
  pods: readonly Pod[];
  demand: DemandView;
  leased: ReadonlySet<ModelKey>;
}

/** Nothing runs, nothing is asked for and nothing has to be there: most pools of a large cluster, most of the time. */
export const isAtRest = ({ deployment, models, pods, demand, leased }: PoolFacts): boolean =>
  deployment.spec?.replicas === 0 &&
  pods.length === 0 &&
  models.every((model) => {
    const key = modelKey(model);
    const asked = demand.models.get(key)?.asked ?? 0;
    return asked === 0 && model.spec.scaling.minReplicas === 0 && !leased.has(key);
  });

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
    current: openReplicas({ replicas: deployment.spec?.replicas ?? 0, pods }),
    models: activities,
    neededLately: lately.most(pool, neededPods(activities), { now, windowMs }),
    isComplete: demand.isComplete,
    isLoading: states.some((state) => state.models.some(isLoading)),
    readySince: readySince(pods),
  };
}

export function drainFacts(
  { pool, deployment, pods, demand }: PoolFacts,
  wanted: number,
  drainMs: number,
): DrainFacts {
  const busy = demand.traffic.get(pool);
  const states = demand.states.get(pool);
  return {
    replicas: deployment.spec?.replicas ?? 0,
    pods,
    wanted,
    mayBeBusy: (pod) => !demand.isComplete || busy?.has(pod) === true,
    worth: (pod) => states?.get(pod)?.models.length ?? 0,
    drainMs,
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
