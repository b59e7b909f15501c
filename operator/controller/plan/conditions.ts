// The four conditions of a model, with the times of their last changes. Pure.
import type { Condition } from '../../../crds/common.ts';
import type { ConditionType } from '../../../crds/reference-model.ts';
import { degraded } from './degraded.ts';
import { type Finding, livePods, type ModelFacts, no, refusalOf, yes } from './facts.ts';
import { loaded } from './loaded.ts';
import { isReady } from './pods.ts';

export function conditions(facts: ModelFacts): Condition[] {
  const findings: Record<ConditionType, Finding> = {
    Accepted: accepted(facts),
    Available: no('', ''),
    Loaded: loaded(facts),
    Degraded: degraded(facts),
  };
  findings.Available = available(facts, findings);
  return Object.entries(findings).map(([type, finding]) => dated(facts, type, finding));
}

function accepted(facts: ModelFacts): Finding {
  const { verdict, problem } = facts;
  const refusal = refusalOf(facts);
  if (refusal) return no(refusal.reason, refusal.message);
  if (problem?.reason === 'NameTaken') return no('NameTaken', problem.message);
  if (verdict.problem) {
    return yes('ClassRemoved', `its pool goes on as it is: ${verdict.problem.message}`);
  }
  return yes('Valid', `runs on GPUClass "${verdict.gpuClass?.metadata.name}"`);
}

/** A request sent now will be answered, if need be after a cold start. */
function available(facts: ModelFacts, findings: Record<ConditionType, Finding>): Finding {
  const { Accepted, Loaded, Degraded } = findings;
  if (Accepted.status !== 'True') return no('NotAccepted', Accepted.message);
  if (Loaded.status === 'True') return yes('Loaded', 'the model is in memory');
  if (!facts.deployment) return no('Creating', 'the objects of its pool are being made');
  const hasFailed = Degraded.status === 'True';
  const isOwnFailure = Loaded.reason === 'LoadFailed' || !livePods(facts).some(isReady);
  if (hasFailed && isOwnFailure) return no(Degraded.reason, Degraded.message);
  return yes('OnDemand', 'the next request loads the model, and starts a pod if none runs');
}

/** meta/v1 Condition: lastTransitionTime moves only when the status does. */
function dated({ model, now }: ModelFacts, type: string, finding: Finding): Condition {
  const before = model.status?.conditions?.find((condition) => condition.type === type);
  const isSame = before?.status === finding.status;
  return {
    type,
    status: finding.status,
    observedGeneration: model.metadata.generation,
    lastTransitionTime: isSame ? before.lastTransitionTime : new Date(now).toISOString(),
    reason: finding.reason,
    message: finding.message,
  };
}
