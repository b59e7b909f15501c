// What every dialect that asks for rewards does: find the model, read the prompts, have them judged.
import type { Request, Response } from 'express';
import { AppError } from '../../../common/errors.ts';
import { senderOf, setIdentity } from '../leased.ts';
import { toRows } from '../prompts.ts';
import { requestedModel } from '../requested-model.ts';
import { type Rewarded, reward } from '../rewards.ts';
import type { DialectOptions, PromptsRequest } from './scored.ts';

export async function rewardPrompts(
  { lookup, scoring }: DialectOptions,
  { req, res }: { req: Request; res: Response },
  { model: name, field, prompts }: PromptsRequest,
  signal: AbortSignal,
): Promise<Rewarded> {
  const model = await requestedModel(lookup, req.headers, name ?? undefined, signal);
  const rows = await toRows(scoring.cache, model, { field, prompts, ...senderOf(req) }, signal);
  const request = { model, field, rows, ...senderOf(req) };
  const rewarded = await reward(scoring, request, signal);
  setIdentity(res, rewarded.loaded);
  return rewarded;
}

/** The one score of each row. Throws TASK_MISMATCH for a model with several: a trainer must not guess which one it got. */
export function singleScores({ loaded, rewards }: Rewarded): number[] {
  const { labels } = loaded.session;
  if (labels.length !== 1) {
    const message = `asking ${loaded.model.name} for one score: it gives ${labels.length}, ask POST /classify or /v1/rewards`;
    throw new AppError('TASK_MISMATCH', message);
  }
  return rewards.map(([score = Number.NaN]) => score);
}
