// Where a model stands, in one word, and why. Pure. The first row that fits:
//
// | situation                                        | standing | why                                    |
// |--------------------------------------------------|----------|----------------------------------------|
// | its object is not valid                          | Refused  | the operator's or the gateway's reason |
// | a pod holds it                                   | Warm     |                                        |
// | a pod loads it                                   | Loading  |                                        |
// | a pod failed to load it                          | Failed   | its error, and the remedy              |
// | the operator says that the last attempt failed   | Failed   | the reason of Degraded                 |
// | requests wait, or a pod starts for it            | Starting | why its pool is not ready, if told     |
// | nobody has judged it yet                         | Unknown  |                                        |
// | none of these                                    | Asleep   |                                        |
import { conditionOf } from '../backend/view.ts';
import type { ConsoleModel, Finding } from './contract.ts';
import { type ModelSources, remedyOf } from './facts.ts';

type Stand = Pick<ConsoleModel, 'standing' | 'why'>;
type Rule = (sources: ModelSources) => Stand | undefined;

const rules: readonly Rule[] = [refused, warm, loading, failed, degraded, starting, unknown];

export function standingOf(sources: ModelSources): Stand {
  for (const rule of rules) {
    const stand = rule(sources);
    if (stand) return stand;
  }
  return { standing: 'Asleep' };
}

function refused({ model, object }: ModelSources): Stand | undefined {
  const { acceptance } = model;
  if (acceptance.state !== 'Refused') return undefined;
  const accepted = object && conditionOf(object, 'Accepted');
  const reason = accepted?.status === 'False' ? accepted.reason : 'MODEL_NOT_ACCEPTED';
  const message = accepted?.status === 'False' ? accepted.message : acceptance.message;
  return { standing: 'Refused', why: { reason, message, ...remedyOf('MODEL_NOT_ACCEPTED') } };
}

function warm({ held }: ModelSources): Stand | undefined {
  return held.some(({ state }) => state.residency === 'Loaded') ? { standing: 'Warm' } : undefined;
}

function loading({ held }: ModelSources): Stand | undefined {
  const isLoading = held.some(({ state }) => state.residency !== 'Failed');
  return isLoading ? { standing: 'Loading' } : undefined;
}

function failed({ held }: ModelSources): Stand | undefined {
  const error = held.find(({ state }) => state.error)?.state.error;
  if (!error) return undefined;
  const why: Finding = { reason: error.code, message: error.message, ...remedyOf(error.code) };
  return { standing: 'Failed', why };
}

function degraded({ object }: ModelSources): Stand | undefined {
  const condition = object && conditionOf(object, 'Degraded');
  if (condition?.status !== 'True') return undefined;
  const { reason, message } = condition;
  return { standing: 'Failed', why: { reason, message, ...remedyOf(codeOf(reason)) } };
}

/** `WeightsCorrupt` is the code `WEIGHTS_CORRUPT` as the reason of a condition. */
const codeOf = (reason: string): string =>
  reason.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();

function starting({ model, object, demand, snapshot }: ModelSources): Stand | undefined {
  const isStarting = object && conditionOf(object, 'Loaded')?.reason === 'Starting';
  if (!isStarting && !demand?.held) return undefined;
  const trouble = model.pool === undefined ? undefined : snapshot.trouble(model.pool);
  return {
    standing: 'Starting',
    ...(trouble && { why: { reason: 'NotReady', message: trouble } }),
  };
}

function unknown({ model }: ModelSources): Stand | undefined {
  return model.acceptance.state === 'Unknown' ? { standing: 'Unknown' } : undefined;
}
