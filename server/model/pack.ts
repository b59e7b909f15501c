// Rows to the arrays that the graph takes, and its outputs back to rows. Pure; knows no runtime.
import type { ScoredRow, ScoreRow } from './scoring.ts';

/** A batch as the graph takes it. */
export interface Batch {
  /** int32 [rows, length], padded on the right */
  readonly tokens: Int32Array;
  readonly shape: readonly [number, number];
  /** int32 [chunks, chunkRows] each: where to score, and the token there; padded at the end */
  readonly positions: Int32Array;
  readonly targets: Int32Array;
  readonly scoredShape: readonly [number, number];
  readonly topK: number;
}

/** What the graph gives: float32 and int32, [scored] and [scored, topK], with the padding still at the end. */
export interface Scores {
  readonly logprobs: Float32Array;
  readonly ranks: Int32Array;
  readonly topIds: Int32Array;
  readonly topLogprobs: Float32Array;
}

export interface PackOptions {
  readonly vocabularySize: number;
  /** Most positions whose logits are in memory at once. */
  readonly maxChunkRows: number;
}

/** The batch of `rows`, or nothing when no position is scored. */
export function pack(rows: readonly ScoreRow[], options: PackOptions): Batch | undefined {
  const length = Math.max(...rows.map((row) => row.tokens.length));
  const tokens = new Int32Array(rows.length * length);
  const wanted: { position: number; target: number }[] = [];
  rows.forEach((row, index) => {
    tokens.set(row.tokens, index * length);
    for (const [at, target] of scoredTokens(row)) {
      wanted.push({ position: index * length + at - 1, target });
    }
  });
  if (wanted.length === 0) return undefined;
  const chunks = Math.ceil(wanted.length / options.maxChunkRows);
  const chunkRows = Math.ceil(wanted.length / chunks);
  const positions = new Int32Array(chunks * chunkRows);
  const targets = new Int32Array(chunks * chunkRows);
  positions.set(wanted.map(({ position }) => position));
  targets.set(wanted.map(({ target }) => target));
  return {
    tokens,
    shape: [rows.length, length],
    positions,
    targets,
    scoredShape: [chunks, chunkRows],
    topK: Math.max(...rows.map((row) => topsOf(row, options.vocabularySize))),
  };
}

/** Position and token of what `row` asks. The next token is not known: its place asks for token 0. */
function scoredTokens({ tokens, scoreFrom, wantsNext }: ScoreRow): [number, number][] {
  const asked: [number, number][] = [];
  for (let at = scoreFrom; at < tokens.length; at++) asked.push([at, tokens[at] ?? 0]);
  if (wantsNext) asked.push([tokens.length, 0]);
  return asked;
}

/** How many tops each position of `row` has. */
const topsOf = (row: ScoreRow, vocabularySize: number): number =>
  Math.max(Math.min(row.topK, vocabularySize), row.wantsNext ? 1 : 0);

/** The values of each row. `topK` is the batch's; a row that asked for fewer gets fewer. */
export function unpack(
  rows: readonly ScoreRow[],
  scores: Scores,
  { topK, vocabularySize }: { topK: number; vocabularySize: number },
): ScoredRow[] {
  let start = 0;
  return rows.map((row) => {
    const end = start + scoredTokens(row).length;
    const k = topsOf(row, vocabularySize);
    const place = { start, end, width: topK, k };
    const size = (end - start) * k;
    const scored: ScoredRow = {
      logprobs: scores.logprobs.slice(start, end),
      ranks: k > 0 ? scores.ranks.slice(start, end) : new Int32Array(),
      topIds: copyColumns(scores.topIds, new Int32Array(size), place),
      topLogprobs: copyColumns(scores.topLogprobs, new Float32Array(size), place),
      k,
    };
    start = end;
    if (row.wantsNext) takeGreedy(scored);
    return scored;
  });
}

/** The first `k` columns of rows start … end-1 of `from` [n, width], into `to`. */
function copyColumns<T extends Int32Array | Float32Array>(
  from: T,
  to: T,
  { start, end, width, k }: { start: number; end: number; width: number; k: number },
): T {
  for (let row = start; row < end; row++) {
    to.set(from.subarray(row * width, row * width + k), (row - start) * k);
  }
  return to;
}

/** The last position becomes that of the most likely token. */
function takeGreedy({ logprobs, ranks, topLogprobs, k }: ScoredRow): void {
  const last = logprobs.length - 1;
  logprobs[last] = topLogprobs[last * k] ?? NaN;
  ranks[last] = 1;
}

const logitBytesMax = 256 << 20;

/** Positions per chunk so that the logits of one chunk stay within 256 MiB; at least 32, at most 512. */
export const chunkRowsFor = (vocabularySize: number): number =>
  Math.min(512, Math.max(32, Math.floor(logitBytesMax / (4 * vocabularySize))));
