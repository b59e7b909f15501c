// What one answer may hold: most dialects let a client ask for lists of candidates at every position.
import { AppError } from '../../../common/errors.ts';
import { countIds, type IdRow } from '../rows.ts';

export interface AnswerLimits {
  /** Most likely tokens per position. */
  maxTopLogprobs: number;
  /** Tokens × candidates of each, in one answer. */
  maxAnswerValues: number;
}

/** Throws INVALID_REQUEST naming the field. */
export function checkTop(name: string, k: number | undefined, limits: AnswerLimits): void {
  if (k === undefined || k <= limits.maxTopLogprobs) return;
  throw new AppError('INVALID_REQUEST', `reading ${name}: the limit is ${limits.maxTopLogprobs}`);
}

/** `k` candidates beside each token of the rows. Throws BODY_TOO_LARGE. */
export const checkAnswer = (rows: readonly IdRow[], k: number, limits: AnswerLimits): void =>
  checkValues(countIds(rows), k, limits);

/** `k` candidates beside each of so many tokens. Throws BODY_TOO_LARGE. */
export function checkValues(tokens: number, k: number, limits: AnswerLimits): void {
  if (tokens * (k + 1) <= limits.maxAnswerValues) return;
  const message = `${tokens} tokens with ${k} candidates each are more than ${limits.maxAnswerValues} values`;
  throw new AppError('BODY_TOO_LARGE', `the answer would be too large: ${message}`);
}
