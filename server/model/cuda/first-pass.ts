// The largest pass that a model may get, for measuring what it works in. Pure.
import { positionsFrom, type ScoreRow } from '../scoring.ts';

export interface PassLimits {
  readonly maxBatchTokens: number;
  /** Of a row: what the checkpoint and the catalog allow. */
  readonly maxSequenceTokens: number;
  readonly vocabularySize: number;
}

/** Rows as long as they may be, together a batch or one row that is longer; they share nothing if the vocabulary allows. */
export function fullPass({ maxBatchTokens, maxSequenceTokens, vocabularySize }: PassLimits) {
  const rows: ScoreRow[] = [];
  const whole = Math.max(maxBatchTokens, maxSequenceTokens); // a row that is longer runs alone
  for (let left = whole; left > 0; left -= maxSequenceTokens) {
    const first = rows.length;
    const length = Math.min(left, maxSequenceTokens);
    const tokens = Int32Array.from({ length }, (_, i) => (first + i) % vocabularySize);
    rows.push({ tokens, positions: positionsFrom(1, length) });
  }
  return rows;
}
