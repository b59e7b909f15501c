// The Loaded condition: is the model in the memory of a pod, and if not, why not. Pure. The first row that fits:
//
// | situation                                                     | Loaded  | reason                |
// |---------------------------------------------------------------|---------|-----------------------|
// | not accepted                                                  | False   | NotAccepted           |
// | a pod holds it                                                | True    | Resident              |
// | no pods; asked for now / before / never                       | False   | Starting or Queued / ScaledToZero / NotRequested |
// | a pod loads it                                                | False   | Downloading, Converting or Loading |
// | a pod failed to load it                                       | False   | LoadFailed            |
// | pods are ready, none is reported                              | as it was, else Unknown NoReport |
// | a pod reports, it was in memory, its pod lives / is gone      | False   | Evicted / PodLost     |
// | asked for, or preload                                         | False   | Starting              |
// | neither                                                       | False   | Evicted or PodLost as it was, else NotRequested |
import type { GPUClass } from '../../../crds/gpu-class.ts';
import { isLoading } from '../../../server/contract.ts';
import {
  type Finding,
  holdings,
  isAsleep,
  livePods,
  type ModelFacts,
  no,
  refusalOf,
  standing,
  yes,
} from './facts.ts';
import { isReady, nameOf } from './pods.ts';

export function loaded(facts: ModelFacts): Finding {
  if (refusalOf(facts)) return no('NotAccepted', 'the model is not accepted');
  const held = holdings(facts);
  const resident = held.filter(({ state }) => state.residency === 'Loaded');
  if (resident.length > 0) {
    const where = resident.map(({ pod }) => nameOf(pod)).join(', ');
    return yes('Resident', `in memory of ${where}`.slice(0, 1000));
  }
  if (isAsleep(facts)) return asleep(facts);
  const phase = held.find(({ state }) => isLoading(state))?.state.residency;
  if (phase) return no(phase, `a pod is ${phase.toLowerCase()} it`);
  const failed = held.find(({ state }) => state.residency === 'Failed');
  if (failed) return no('LoadFailed', failed.state.error?.message ?? 'the load failed');
  return notHeld(facts);
}

const starting = no('Starting', 'a pod is starting for it');

function asleep(facts: ModelFacts): Finding {
  const { idleTimeout } = facts.model.spec.scaling;
  if (facts.asked > 0) return queued(facts.verdict.gpuClass) ?? starting;
  const wasAsked = facts.model.status?.lastRequestTime !== undefined || facts.lastActivity > 0;
  return wasAsked
    ? no('ScaledToZero', `no request for ${idleTimeout}; the next one starts a pod`)
    : no('NotRequested', 'the first request starts a pod');
}

/** Where the operator alone starts pods, in turns. */
function queued(gpuClass: GPUClass | undefined): Finding | undefined {
  const most = gpuClass?.spec.maxStarting;
  if (most === undefined) return undefined;
  const name = gpuClass?.metadata.name;
  return no('Queued', `its turn comes: of GPUClass "${name}" ${most} pods at most start at a time`);
}

/** Pods are there, and none that reports has anything to say about the model. */
function notHeld(facts: ModelFacts): Finding {
  const ready = livePods(facts).filter(isReady);
  const reporting = ready.map(nameOf).filter((pod) => facts.states.has(pod));
  const isWanted = facts.asked > 0 || facts.model.spec.preload;
  const waiting = isWanted ? starting : no('NotRequested', 'the next request loads it');
  const before = standing(facts, 'Loaded');
  if (ready.length > 0 && reporting.length === 0) return unreported(before, waiting);
  if (reporting.length > 0 && before?.status === 'True') return lost(facts, reporting);
  return waiting.reason === 'NotRequested' && isLoss(before) ? before : waiting;
}

const isLoss = (before: Finding | undefined): before is Finding =>
  before?.reason === 'Evicted' || before?.reason === 'PodLost';

/** It was in memory, and no pod that reports has it any more. */
function lost(facts: ModelFacts, reporting: readonly string[]): Finding {
  const holders = facts.model.status?.loadedOn ?? [];
  return holders.some((pod) => reporting.includes(pod))
    ? no(
        'Evicted',
        'other models, a changed spec or a caller took its place; the next request loads it again',
      )
    : no('PodLost', 'the pod that held it is gone; the next request loads it again');
}

/** A pod becomes ready before a gateway has heard from it, and gateways restart: no reason to say something new. */
function unreported(before: Finding | undefined, waiting: Finding): Finding {
  if (before?.status === 'True' || isLoss(before)) return before;
  if (waiting.reason === 'Starting') return waiting;
  return {
    status: 'Unknown',
    reason: 'NoReport',
    message: 'no gateway reports the state of its pods',
  };
}
