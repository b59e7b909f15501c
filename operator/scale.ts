// How many pods a pool needs. Pure: the controller and the local backend both ask here.
//
// | demand reports | in flight or held | leased | loading | idle ≥ idleTimeout | replicas                 | reason   |
// |----------------|-------------------|--------|---------|--------------------|--------------------------|----------|
// | one missing    | any               | any    | any     | any                | max(needed, current)     | Unknown  |
// | all            | > 0               | any    | any     | –                  | max(needed, kept)        | Demand   |
// | all            | 0                 | yes    | any     | –                  | max(1, kept)             | Leased   |
// | all            | 0                 | no     | yes     | any                | current                  | Loading  |
// | all            | 0                 | no     | no      | no, of some model  | kept                     | Recent   |
// | all            | 0                 | no     | no      | of every model     | minReplicas              | Idle     |
//
// Needed: what every model asks for, in parts of a pod, together. Kept: of the current ones, as many as were needed
// at some time within the idleTimeout, and one at least; all of them while one loads or none is ready.
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
  /** A run wants it warm. */
  isLeased: boolean;
}

export interface PoolActivity {
  /** Pods wanted now; those that drain do not count. */
  current: number;
  models: readonly ModelActivity[];
  /** False when a gateway's report is missing: then nothing is known to be idle. */
  isComplete: boolean;
  /** True while a pod loads a model. */
  isLoading: boolean;
  /** Epoch milliseconds since which a pod is ready; undefined while none is. The idle clock starts there. */
  readySince: number | undefined;
  /** The most that `neededPods` was within the idleTimeout; Infinity while that is not known. */
  neededLately: number;
}

export type ScaleReason =
  | 'Unknown'
  | 'Demand'
  | 'Leased'
  | 'Loading'
  | 'Recent'
  | 'Starting'
  | 'Idle';

export interface ScaleDecision {
  replicas: number;
  reason: ScaleReason;
}

/** Pods for what is asked now. A model fills no more pods than it may have. */
export function neededPods(models: readonly ModelActivity[]): number {
  const parts = models.map((m) => Math.min(m.asked / m.concurrency, m.maxReplicas));
  const asked = parts.reduce((sum, part) => sum + part, 0);
  return Math.max(Math.ceil(asked), models.some(({ isLeased }) => isLeased) ? 1 : 0);
}

export function decideReplicas(pool: PoolActivity, now: number): ScaleDecision {
  const most = (pick: (model: ModelActivity) => number) =>
    pool.models.reduce((max, model) => Math.max(max, pick(model)), 0);
  const min = most((m) => m.minReplicas);
  const max = most((m) => m.maxReplicas);
  const { replicas, reason } = wanted(pool, now);
  return { replicas: Math.min(Math.max(replicas, min), max), reason };
}

/** Before the bounds. */
function wanted(pool: PoolActivity, now: number): ScaleDecision {
  const { current, models, readySince } = pool;
  const needed = neededPods(models);
  const replicas = Math.max(needed, pool.isComplete ? kept(pool) : current);
  if (!pool.isComplete) return { replicas, reason: 'Unknown' };
  if (models.some(({ asked }) => asked > 0)) return { replicas, reason: 'Demand' };
  if (needed > 0) return { replicas, reason: 'Leased' };
  if (current === 0) return { replicas: 0, reason: 'Idle' };
  if (pool.isLoading) return { replicas, reason: 'Loading' };
  if (readySince === undefined) return { replicas, reason: 'Starting' };
  const isIdle = (m: ModelActivity) =>
    now - Math.max(m.lastActivity, readySince) >= m.idleTimeoutMs;
  return models.every(isIdle) ? { replicas: 0, reason: 'Idle' } : { replicas, reason: 'Recent' };
}

function kept({ current, isLoading, readySince, neededLately }: PoolActivity): number {
  if (isLoading || readySince === undefined) return current;
  return Math.min(current, Math.max(1, neededLately));
}
