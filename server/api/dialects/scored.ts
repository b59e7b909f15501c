// What every dialect that asks for log-probs does: find the model, read the prompts, score them.
import type { Request, Response } from 'express';
import type { Clock } from '../../../common/clock.ts';
import type { Asked } from '../../model/scoring.ts';
import { type Scoring, senderOf, setIdentity } from '../leased.ts';
import { type Prompt, toRows } from '../prompts.ts';
import { type ModelLookup, requestedModel } from '../requested-model.ts';
import { rowLength } from '../rows.ts';
import { type Scored, score } from '../score.ts';
import { type AnswerLimits, checkAnswer } from './limits.ts';

export interface DialectOptions {
  lookup: ModelLookup;
  scoring: Scoring;
  limits: AnswerLimits;
  clock: Clock;
}

export interface PromptsRequest {
  /** Name of the model in the body. */
  model: string | null | undefined;
  /** Name of the prompts in errors. */
  field: string;
  prompts: readonly Prompt[];
}

/** What is asked of a row of `length` tokens. */
export type Ask = (length: number, row: number) => Asked;

/** Says at which temperature the scores were taken, whatever a body asked for the sampling. */
const temperatureHeader = 'x-refmodel-temperature';

/** Scores the prompts, and sets the headers of the answer. Throws what the steps throw. */
export async function scorePrompts(
  { lookup, scoring, limits }: DialectOptions,
  { req, res }: { req: Request; res: Response },
  { model: name, field, prompts, ask }: PromptsRequest & { ask: Ask },
  signal: AbortSignal,
): Promise<Scored> {
  const model = await requestedModel(lookup, req.headers, name ?? undefined, signal);
  const rows = await toRows(scoring.cache, model, { field, prompts, ...senderOf(req) }, signal);
  const asked = rows.map((row, r) => ask(rowLength(row), r));
  const scoredRows = rows.filter((_, r) => (asked[r]?.positions.length ?? 0) > 0);
  checkAnswer(scoredRows, widest(asked), limits);
  const request = { model, field, rows, asked, ...senderOf(req) };
  const scored = await score(scoring, request, signal);
  setIdentity(res, scored.loaded);
  res.setHeader(temperatureHeader, String(asked[0]?.temperature ?? 1));
  return scored;
}

const widest = (asked: readonly Asked[]): number =>
  asked.reduce(
    (most, { topK = 0, candidates }) => Math.max(most, topK + (candidates?.width ?? 0)),
    0,
  );
