// The whole status of a model from the facts of now and the status of before. Pure: the same facts give the same status.
import type { ReferenceModelStatus } from '../../../crds/reference-model.ts';
import { modelKey, modelUrl } from '../../pool.ts';
import { coldStart } from './cold-start.ts';
import { conditions } from './conditions.ts';
import { type Holding, holdings, isAsleep, livePods, type ModelFacts } from './facts.ts';
import { isReady, nameOf } from './pods.ts';

/** lastRequestTime lags behind by at most this while requests come in; scaling to zero brings it up to date. */
export const requestTimeGranularityMs = 60_000;

export function planStatus(facts: ModelFacts): ReferenceModelStatus {
  const { model, verdict } = facts;
  const resident = holdings(facts).filter(({ state }) => state.residency === 'Loaded');
  const lastRequestTime = recordedRequestTime(facts);
  return {
    observedGeneration: model.metadata.generation,
    url: modelUrl(modelKey(model)),
    source: sourceOf(model),
    ...(verdict.gpuClass && { gpuClass: verdict.gpuClass.metadata.name }),
    replicas: livePods(facts).filter(isReady).length,
    loadedOn: holders(facts, resident),
    ...remembered(facts, resident),
    ...(lastRequestTime && { lastRequestTime }),
    conditions: conditions(facts),
  };
}

/** The column MODEL: repository, or claim and folder. */
function sourceOf({ spec }: ModelFacts['model']): string {
  const { huggingFace, persistentVolumeClaim: claim } = spec.model;
  return huggingFace?.repo ?? [claim?.claimName, claim?.path].filter(Boolean).join('/');
}

/** A pod that nobody reports just now still holds what it held. */
function holders(facts: ModelFacts, resident: readonly Holding[]): string[] {
  const before = facts.model.status?.loadedOn ?? [];
  const unreported = livePods(facts)
    .map(nameOf)
    .filter((pod) => before.includes(pod) && !facts.states.has(pod));
  return [...resident.map(({ pod }) => nameOf(pod)), ...unreported].sort();
}

/** What stays known after the pod is gone, until a newer load says otherwise. */
function remembered(
  { model, now }: ModelFacts,
  resident: readonly Holding[],
): Pick<ReferenceModelStatus, 'model' | 'memory' | 'coldStart'> {
  const { loadedOn = [], model: before, memory, coldStart: start } = model.status ?? {};
  const fresh = resident.find(({ pod }) => !loadedOn.includes(nameOf(pod)));
  const { identity, weightBytes } = (fresh ?? resident[0])?.state ?? {};
  return {
    model: identity ? identityOf(identity) : before,
    memory: weightBytes === undefined ? memory : { weights: weightBytes },
    coldStart: (fresh && coldStart(fresh, now)) ?? start,
  };
}

function identityOf(
  identity: NonNullable<Holding['state']['identity']>,
): NonNullable<ReferenceModelStatus['model']> {
  const { revision, digest, architecture, parameters, contextTokens, task } = identity;
  return { revision, digest, architecture, parameters, contextTokens, task };
}

/** True when the stored time is older than what is known by more than it may be. */
export function isRequestTimeStale(
  status: ReferenceModelStatus | null | undefined,
  lastActivity: number,
  granularityMs = requestTimeGranularityMs,
): boolean {
  if (lastActivity === Number.NEGATIVE_INFINITY) return false;
  const stored = status?.lastRequestTime;
  return stored === undefined || lastActivity - Date.parse(stored) >= granularityMs;
}

function recordedRequestTime(facts: ModelFacts): string | undefined {
  const { model, lastActivity } = facts;
  const granularityMs = isAsleep(facts) ? 1 : requestTimeGranularityMs;
  return isRequestTimeStale(model.status, lastActivity, granularityMs)
    ? new Date(lastActivity).toISOString()
    : model.status?.lastRequestTime;
}
