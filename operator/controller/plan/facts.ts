// Everything that the status of a model is decided from. Types and the questions several decisions ask. Pure.
import type { Condition } from '../../../crds/common.ts';
import type { ReferenceModel } from '../../../crds/reference-model.ts';
import type { ModelState, ServerState } from '../../../server/contract.ts';
import type { Deployment, Pod } from '../../kube/resources.ts';
import { modelKey } from '../../pool.ts';
import type { Problem, Verdict } from '../../verdict.ts';
import { isTerminating, nameOf } from './pods.ts';

export interface ModelFacts {
  model: ReferenceModel;
  verdict: Verdict;
  /** Why an object of the model or its pool could not be made. */
  problem: (Problem & { reason: 'NameTaken' | 'ApplyFailed' }) | undefined;
  deployment: Deployment | undefined;
  /** Of the pool, those that end among them. */
  pods: readonly Pod[];
  /** By pod name, as gateways report it; a pod that is not in it is unknown. */
  states: ReadonlyMap<string, ServerState>;
  /** Requests in flight and held. */
  asked: number;
  /** Epoch milliseconds of the last request that anyone knows of; -Infinity for none. */
  lastActivity: number;
  /** Epoch milliseconds. */
  now: number;
}

export interface Holding {
  pod: Pod;
  state: ModelState;
}

/** Why the model is not served. One whose class is gone is, as long as there is its pool. */
export const refusalOf = ({ verdict, deployment }: ModelFacts): Problem | undefined =>
  verdict.pool !== undefined && deployment ? undefined : verdict.problem;

/** Pods that are not on their way out. */
export const livePods = (facts: ModelFacts): Pod[] =>
  facts.pods.filter((pod) => !isTerminating(pod));

/** What the live pods say about this model; pods that say nothing are left out. */
export function holdings(facts: ModelFacts): Holding[] {
  const key = modelKey(facts.model);
  return livePods(facts).flatMap((pod) => {
    const state = facts.states.get(nameOf(pod))?.models.find(({ name }) => name === key);
    return state ? [{ pod, state }] : [];
  });
}

/** True at zero replicas, wanted and had. */
export const isAsleep = (facts: ModelFacts): boolean =>
  (facts.deployment?.spec?.replicas ?? 0) === 0 && livePods(facts).length === 0;

/** What a condition says, before it gets its times. */
export interface Finding {
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
}

export const yes = (reason: string, message: string): Finding => ({
  status: 'True',
  reason,
  message,
});
export const no = (reason: string, message: string): Finding => ({
  status: 'False',
  reason,
  message,
});

/** The condition as it stands, if it is about this generation of the spec. */
export function standing(facts: ModelFacts, type: string): Condition | undefined {
  const { model } = facts;
  const found = model.status?.conditions?.find((condition) => condition.type === type);
  return found?.observedGeneration === model.metadata.generation ? found : undefined;
}
