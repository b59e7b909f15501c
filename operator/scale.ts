// How many pods a pool needs. Pure: the controller and the local backend both ask here.
//
// | demand reports | in flight or held | loading | idle ≥ idleTimeout | replicas                        | reason    |
// |----------------|-------------------|---------|--------------------|---------------------------------|-----------|
// | one missing    | any               | any     | any                | max(current, what is known)     | Unknown   |
// | all            | > 0               | any     | –                  | max(current, ⌈asked/concurrency⌉) | Demand  |
// | all            | 0                 | yes     | –                  | current                         | Loading   |
// | all            | 0                 | no      | no, of some model  | current                         | Recent    |
// | all            | 0                 | no      | of every model     | minReplicas                     | Idle      |
//
// Always between the largest minReplicas and the largest maxReplicas of the pool's models.
// From zero, a gateway or a held request raises to one; this function agrees with it through Demand.

export interface ModelActivity {
  minReplicas: number;
  maxReplicas: number;
  concurrency: number;
  idleTimeoutMs: number;
  /** Requests in flight and held, over all gateways. */
  asked: number;
  /** Epoch milliseconds of the last request anyone knows of; -Infinity for none. */
  lastActivity: number;
}

export interface PoolActivity {
  current: number;
  models: readonly ModelActivity[];
  /** False when a gateway's report is missing: then nothing is known to be idle. */
  isComplete: boolean;
  /** True while a pod loads a model. */
  isLoading: boolean;
  /** Epoch milliseconds since which a pod is ready; undefined while none is. The idle clock starts there. */
  readySince: number | undefined;
}

export type ScaleReason = 'Unknown' | 'Demand' | 'Loading' | 'Recent' | 'Starting' | 'Idle';

export interface ScaleDecision {
  replicas: number;
  reason: ScaleReason;
}

export function decideReplicas(pool: PoolActivity, now: number): ScaleDecision {
  const most = (pick: (model: ModelActivity) => number) =>
    pool.models.reduce((max, model) => Math.max(max, pick(model)), 0);
  const min = most((m) => m.minReplicas);
  const max = most((m) => m.maxReplicas);
  const bound = (replicas: number) => Math.min(Math.max(replicas, min), max);
  const needed = most((m) => Math.min(Math.ceil(m.asked / m.concurrency), m.maxReplicas));

  if (needed > 0) return { replicas: bound(Math.max(pool.current, needed)), reason: 'Demand' };
  if (!pool.isComplete) return { replicas: bound(pool.current), reason: 'Unknown' };
  if (pool.current === 0) return { replicas: bound(0), reason: 'Idle' };
  if (pool.isLoading) return { replicas: bound(pool.current), reason: 'Loading' };
  const { readySince } = pool;
  if (readySince === undefined) return { replicas: bound(pool.current), reason: 'Starting' };
  const isIdle = (m: ModelActivity) =>
    now - Math.max(m.lastActivity, readySince) >= m.idleTimeoutMs;
  if (!pool.models.every(isIdle)) return { replicas: bound(pool.current), reason: 'Recent' };
  return { replicas: bound(min), reason: 'Idle' };
}
