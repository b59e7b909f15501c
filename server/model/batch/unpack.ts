// What the graph gives for a batch, back to the rows that asked for it. Pure.
import type { Candidates, ScoredRow, ScoreRow } from '../scoring.ts';
import { type Batch, topsOf } from './pack.ts';
import { tailsOf } from './tails.ts';

/** What the graph gives: float32 and int32, [scored] or [scored, width], with the padding still at the end. */
export interface Scores {
  readonly logprobs: Float32Array;
  readonly ranks: Int32Array;
  /** [scored, topK] */
  readonly topIds: Int32Array;
  readonly topLogprobs: Float32Array;
  /** [scored, candidateWidth] */
  readonly candidateLogprobs: Float32Array;
  readonly entropies: Float32Array;
  readonly normalizers: Float32Array;
  /** [exposed, hidden size] */
  readonly hidden: Float32Array;
}

export interface UnpackOptions
  extends Pick<Batch, 'answers' | 'exposed' | 'exposures' | 'topK' | 'candidateWidth'> {
  readonly vocabularySize: number;
}

/** The values of each row. Widths are the batch's; a row that asked for fewer gets fewer. */
export function unpack(
  rows: readonly ScoreRow[],
  scores: Scores,
  { answers, exposed, exposures, topK, candidateWidth, vocabularySize }: UnpackOptions,
): ScoredRow[] {
  const hiddenSize = exposed.length === 0 ? 0 : scores.hidden.length / exposed.length;
  return rows.map((row, r) => {
    const at = answers[r] ?? none;
    const k = topsOf(row, vocabularySize);
    const one = { at, width: 1, columns: 1 };
    const tops = { at, width: topK, columns: k };
    const listed = { at, width: candidateWidth, columns: row.candidates?.width ?? 0 };
    const whole = { at: exposures[r] ?? none, width: hiddenSize, columns: hiddenSize };
    const shown = {
      logprobs: pick(scores.logprobs, Float32Array, one),
      ranks: pick(scores.ranks, Int32Array, row.wantsRanks && one),
      topIds: pick(scores.topIds, Int32Array, tops),
      topLogprobs: pick(scores.topLogprobs, Float32Array, tops),
      k,
      candidateLogprobs: pick(scores.candidateLogprobs, Float32Array, listed),
      entropies: pick(scores.entropies, Float32Array, row.wantsEntropies && one),
      normalizers: pick(scores.normalizers, Float32Array, row.wantsNormalizers && one),
      hidden: pick(scores.hidden, Float32Array, whole),
    };
    return finish(shown, row);
  });
}

/** What a row makes of what was picked for it. */
function finish(shown: Omit<ScoredRow, 'tails'>, row: ScoreRow): ScoredRow {
  if (row.candidates) blankMissing(shown.candidateLogprobs, row.candidates);
  if (row.wantsNext) takeGreedy(shown);
  return { ...shown, tails: row.wantsTails ? tailsOf(shown, row.candidates) : new Float32Array() };
}

const none = new Int32Array();

interface Picked {
  readonly at: Int32Array;
  readonly width: number;
  readonly columns: number;
}

/** The first columns of the rows `at` of `from` [n, width]; nothing where nothing is picked. */
function pick<T extends Int32Array | Float32Array>(
  from: T,
  Kind: new (length: number) => T,
  picked: Picked | false | undefined,
): T {
  if (!picked) return new Kind(0);
  const { at, width, columns } = picked;
  const to = new Kind(at.length * columns);
  for (let i = 0; i < to.length; i++) {
    const column = i % columns;
    to[i] = from[(at[(i - column) / columns] ?? 0) * width + column] ?? NaN;
  }
  return to;
}

/** The next position has no candidates. */
function blankMissing(logprobs: Float32Array, { ids }: Candidates): void {
  for (let i = 0; i < logprobs.length; i++) if ((ids[i] ?? -1) < 0) logprobs[i] = NaN;
}

/** The last position becomes that of the most likely token. */
function takeGreedy(values: Pick<ScoredRow, 'logprobs' | 'ranks' | 'topLogprobs' | 'k'>): void {
  const { logprobs, ranks, topLogprobs, k } = values;
  const last = logprobs.length - 1;
  logprobs[last] = topLogprobs[last * k] ?? NaN;
  if (ranks.length > 0) ranks[last] = 1;
}
