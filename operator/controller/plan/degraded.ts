// The Degraded condition: did the last attempt to serve the model fail, and by what. Pure.
// It carries the real failure of pod or model, and stands until an attempt succeeds or the spec changes.

import type { Condition } from '../../../crds/common.ts';
import type { Pod } from '../../kube/resources.ts';
import type { Problem } from '../../verdict.ts';
import {
  type Finding,
  type Holding,
  holdings,
  livePods,
  type ModelFacts,
  no,
  standing,
  yes,
} from './facts.ts';
import { failureOf, isReady, nameOf, podFailures, startOf } from './pods.ts';

/** Of objects, not of attempts: over as soon as they are not found any more. */
const momentary = ['ApplyFailed', 'PodsNotCreated'];

export function degraded(facts: ModelFacts): Finding {
  const failure = currentFailure(facts);
  if (failure && failure.reason !== 'NameTaken') return yes(failure.reason, failure.message);
  const before = standing(facts, 'Degraded');
  if (before?.status === 'True' && !isOver(before, facts)) return before;
  return no('NoFailure', 'the last attempt did not fail');
}

const isResident = (facts: ModelFacts): boolean =>
  holdings(facts).some(({ state }) => state.residency === 'Loaded');

function currentFailure(facts: ModelFacts): Problem | undefined {
  const ofLoad = isResident(facts) ? undefined : loadFailure(holdings(facts));
  return facts.problem ?? ofLoad ?? podFailure(facts) ?? noPods(facts);
}

const isOver = (before: Condition, facts: ModelFacts): boolean =>
  isResident(facts) || isCured(before, facts) || isForgotten(before, facts);

function isCured({ reason }: Condition, facts: ModelFacts): boolean {
  const isOfPods = podFailures.some((failure) => failure === reason);
  return momentary.includes(reason) || (isOfPods && livePods(facts).some(isReady));
}

/**
 * The pods are those that it failed on, and have nothing to say of it: they forget a failure when the spec changes.
 * They hear of that later than we do, and until then report the failure of the spec before.
 */
function isForgotten({ lastTransitionTime }: Condition, facts: ModelFacts): boolean {
  const pods = livePods(facts);
  const wasThere = (pod: Pod) =>
    (startOf(pod).ready ?? facts.now) <= Date.parse(lastTransitionTime);
  const isReported = (pod: Pod) => facts.states.has(nameOf(pod));
  return (
    pods.length > 0 &&
    holdings(facts).length === 0 &&
    pods.every((pod) => wasThere(pod) && isReported(pod))
  );
}

/** `WEIGHTS_CORRUPT` of a pod's state is the reason `WeightsCorrupt`. */
function loadFailure(held: readonly Holding[]): Problem | undefined {
  const error = held.find(({ state }) => state.residency === 'Failed')?.state.error;
  return error && { reason: pascalCase(error.code), message: error.message };
}

const pascalCase = (code: string): string =>
  code
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');

function podFailure(facts: ModelFacts): Problem | undefined {
  for (const pod of livePods(facts)) {
    const failure = failureOf(pod);
    if (failure) return failure;
  }
  return undefined;
}

/** The pods were refused: a quota, a Pod Security level, an admission webhook. */
function noPods(facts: ModelFacts): Problem | undefined {
  const refused = facts.deployment?.status?.conditions?.find(
    ({ type, status }) => type === 'ReplicaFailure' && status === 'True',
  );
  return refused && { reason: 'PodsNotCreated', message: refused.message ?? '' };
}
