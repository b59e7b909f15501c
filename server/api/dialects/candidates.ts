// What vLLM tells of a position: the token itself, and the most likely ones, with their ranks.
import type { ScoredRow } from '../../model/scoring.ts';
import { logprobText } from '../float32.ts';

export interface Candidate {
  id: number;
  logprob: number;
  rank: number;
}

/** A scored row: values of positions 1 … n-1 if the prompt was scored, then of the next one if that was wanted. */
export interface CandidateRow {
  tokens: Int32Array;
  values: ScoredRow;
}

/** The token itself first, whatever its rank, then the `k` most likely ones: k + 1 at most, no id twice. */
export function candidates(values: ScoredRow, at: number, id: number, k: number): Candidate[] {
  const entries = [{ id, logprob: values.logprobs[at] ?? 0, rank: values.ranks[at] ?? 0 }];
  for (const other of mostLikely(values, at, k)) if (other.id !== id) entries.push(other);
  return entries;
}

/** The `k` most likely tokens, best first. */
export function mostLikely(values: ScoredRow, at: number, k: number): Candidate[] {
  return Array.from({ length: Math.min(k, values.k) }, (_, i) => ({
    id: values.topIds[at * values.k + i] ?? 0,
    logprob: values.topLogprobs[at * values.k + i] ?? 0,
    rank: i + 1,
  }));
}

/** The greedy token after the row, where it was wanted. */
export const nextToken = ({ logprobs, topIds, k }: ScoredRow): number =>
  topIds[(logprobs.length - 1) * k] ?? 0;

/** Every token that an answer about the rows may show. */
export function* shownIds(rows: readonly CandidateRow[]): Generator<number> {
  for (const { tokens, values } of rows) {
    yield* tokens;
    yield* values.topIds;
  }
}

/**
 * null, then per position an object of token id → candidate. Written as text: clients take the first key for the token
 * itself, and a JavaScript object would sort them.
 */
export function* promptLogprobsText(
  { tokens, values }: CandidateRow,
  k: number,
  textOf: (id: number) => string | null,
): Generator<string> {
  yield '[null';
  for (let position = 1; position < tokens.length; position++) {
    const entries = candidates(values, position - 1, tokens[position] ?? 0, k).map(
      ({ id, logprob, rank }) =>
        `"${id}":{"logprob":${logprobText(logprob)},"rank":${rank},"decoded_token":${JSON.stringify(textOf(id))}}`,
    );
    yield `,{${entries.join(',')}}`;
  }
  yield ']';
}
