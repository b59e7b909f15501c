// The whole status of a model from the facts of now and the status of before. Pure: the same facts give the same status.
import type { ReferenceModelStatus } from '../../../crds/reference-model.ts';
import { hubReference } from '../../../server/contract.ts';
import { modelKey, modelUrl } from '../../pool.ts';
import { coldStart } from './cold-start.ts';
import { conditions } from './conditions.ts';
import { type Holding, holdings, isAsleep, livePods, type ModelFacts } from './facts.ts';
import { isReady, nameOf } from './pods.ts';

/** lastRequestTime lags behind by at most this while requests come in; scaling to zero brings it up to date. */
export const requestTimeGranularityMs = 60_000;

export function planStatus(facts: ModelFacts): ReferenceModelStatus {
  const { model } = facts;
  const resident = holdings(facts).filter(({ state }) => state.residency === 'Loaded');
  const lastRequestTime = recordedRequestTime(facts);
  return {
    observedGeneration: model.metadata.generation,
    url: modelUrl(modelKey(model)),
    source: sourceOf(model),
    ...classInUse(facts),
    ...outgrown(facts),
    replicas: livePods(facts).filter(isReady).length,
    loadedOn: holders(facts, resident),
    ...remembered(facts, resident),
    ...(lastRequestTime && { lastRequestTime }),
    conditions: conditions(facts),
  };
}

/** Of a class that is gone the name stays, since the pool does. */
function classInUse({ model, verdict }: ModelFacts): Pick<ReferenceModelStatus, 'gpuClass'> {
  const name = verdict.pool ? model.status?.gpuClass : undefined;
  const gpuClass = verdict.gpuClass?.metadata.name ?? name;
  return gpuClass === undefined ? {} : { gpuClass };
}

/** A model that names no class goes to the next larger one when a pod says that it can never fit. */
function outgrown(facts: ModelFacts): Pick<ReferenceModelStatus, 'outgrown'> {
  const { model, verdict } = facts;
  if (model.spec.gpuClass !== undefined) return {};
  const { generation } = model.metadata;
  const isTooLarge = holdings(facts).some(({ state }) => state.error?.code === 'MODEL_TOO_LARGE');
  if (isTooLarge && verdict.gpuClass) {
    const { metadata, spec } = verdict.gpuClass;
    const { memory } = spec;
    return { outgrown: { gpuClass: metadata.name, memory, observedGeneration: generation } };
  }
  const before = model.status?.outgrown;
  return before?.observedGeneration === generation ? { outgrown: before } : {};
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
): Pick<ReferenceModelStatus, 'model' | 'memory' | 'fidelity' | 'coldStart'> {
  const { loadedOn = [], memory, fidelity, coldStart: start } = model.status ?? {};
  const fresh = resident.find(({ pod }) => !loadedOn.includes(nameOf(pod)));
  const newest = fresh ?? resident[0];
  return {
    model: knownModel(model, resident, newest),
    memory: memoryOf(newest) ?? memory,
    fidelity: newest ? fidelityOf(newest) : fidelity,
    coldStart: (fresh && coldStart(fresh, now)) ?? start,
  };
}

function memoryOf(holding: Holding | undefined): ReferenceModelStatus['memory'] {
  const { weightBytes, memory } = holding?.state ?? {};
  if (weightBytes === undefined) return undefined;
  return { weights: weightBytes, ...(memory?.device && { device: memory.device }) };
}

/** Three digits are all that a person wants. */
const figure = (value: number): string => String(Number(value.toPrecision(3)));

function fidelityOf({ state }: Holding): ReferenceModelStatus['fidelity'] {
  if (!state.fidelity) return undefined;
  const { kl, meanAbsDelta, tokens } = state.fidelity;
  return {
    ...(kl !== undefined && { kl: figure(kl) }),
    meanAbsDelta: figure(meanAbsDelta),
    tokens,
  };
}

/**
 * A revision of the hub stands for the commit that was found first, as long as the spec names it: the catalog hands that
 * to every pod. One that resolved it by itself in the meantime does not move it.
 */
function knownModel(
  { spec, status }: ModelFacts['model'],
  resident: readonly Holding[],
  newest: Holding | undefined,
): ReferenceModelStatus['model'] {
  const { huggingFace } = spec.model;
  const before = status?.model;
  const isPinned = huggingFace && before?.resolvedFrom === hubReference(huggingFace);
  const holder = isPinned
    ? resident.find(({ state }) => state.identity?.revision === before.revision)
    : newest;
  return holder?.state.identity ? identityOf(holder.state.identity) : before;
}

function identityOf(
  identity: NonNullable<Holding['state']['identity']>,
): NonNullable<ReferenceModelStatus['model']> {
  const { revision, resolvedFrom, digest, architecture, parameters, contextTokens, task } =
    identity;
  return {
    revision,
    ...(resolvedFrom !== undefined && { resolvedFrom }),
    digest,
    architecture,
    parameters,
    contextTokens,
    task,
  };
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
