// Rows to the arrays that the graph takes, and its outputs back to rows. Pure; knows no runtime.

import type { ScoredRow, ScoreRow } from '../scoring.ts';
import { AskedTokens, type Scored } from './asked.ts';
import { growTree, type PrefixTree, type TreeOptions } from './prefix-tree.ts';

/** The tokens of a batch, each distinct (prefix, token) once. */
export interface PackedTokens extends PrefixTree {
  /** int32 [rows]: the last token of each row */
  readonly last: Int32Array;
}

/** A batch that is scored. */
export interface Batch extends PackedTokens, Scored {
  readonly topK: number;
  /** Of each row: which number of `scored` answers each position that it asks. Not for the graph. */
  readonly answers: readonly Int32Array[];
}

/** What the graph gives: float32 and int32, [scored] and [scored, topK], with the padding still at the end. */
export interface Scores {
  readonly logprobs: Float32Array;
  readonly ranks: Int32Array;
  readonly topIds: Int32Array;
  readonly topLogprobs: Float32Array;
}

export interface PackOptions extends TreeOptions {
  readonly vocabularySize: number;
  /** Most positions whose logits are in memory at once. */
  readonly maxChunkRows: number;
}

/** The batch of `rows`, or nothing when no position is scored. */
export function pack(rows: readonly ScoreRow[], options: PackOptions): Batch | undefined {
  if (!rows.some(isScored)) return undefined;
  const tree = growTree(tokensOf(rows), options);
  return {
    ...withLast(tree),
    ...packScored(rows, tree, options.maxChunkRows),
    topK: rows.reduce((most, row) => Math.max(most, topsOf(row, options.vocabularySize)), 0),
  };
}

/** The tokens of `rows` alone, for a model that gives a value per row. */
export const packTokens = (
  rows: readonly Pick<ScoreRow, 'tokens'>[],
  options: TreeOptions = {},
): PackedTokens => withLast(growTree(tokensOf(rows), options));

const tokensOf = (rows: readonly Pick<ScoreRow, 'tokens'>[]) => rows.map(({ tokens }) => tokens);

const withLast = (tree: PrefixTree): PackedTokens => ({
  ...tree,
  last: Int32Array.from(tree.paths, (path) => path.at(-1) ?? 0),
});

/** Where to score, each (token, target) once however many rows ask. */
function packScored(rows: readonly ScoreRow[], tree: PrefixTree, maxChunkRows: number) {
  const asked = new AskedTokens(tree.tokens);
  const answers = rows.map(({ scoreFrom, wantsNext }, r) => {
    const path = tree.paths[r] ?? none;
    const numbers = new Int32Array(Math.max(0, path.length - scoreFrom) + Number(wantsNext));
    for (let at = scoreFrom; at < path.length; at++) {
      numbers[at - scoreFrom] = asked.target(path[at - 1] ?? 0, path[at] ?? 0);
    }
    return numbers;
  });
  // Last, since the tops are those of any target there.
  for (const [r, row] of rows.entries()) {
    if (row.wantsNext) answers[r]?.fill(asked.next(tree.paths[r]?.at(-1) ?? 0), -1);
  }
  return { ...asked.inChunks(maxChunkRows), answers };
}

const none = new Int32Array();

const isScored = ({ tokens, scoreFrom, wantsNext }: ScoreRow): boolean =>
  wantsNext || scoreFrom < tokens.length;

/** How many tops each position of `row` has. */
const topsOf = (row: ScoreRow, vocabularySize: number): number =>
  Math.max(Math.min(row.topK, vocabularySize), row.wantsNext ? 1 : 0);

export interface UnpackOptions extends Pick<Batch, 'answers' | 'topK'> {
  readonly vocabularySize: number;
}

/** The values of each row. `topK` is the batch's; a row that asked for fewer gets fewer. */
export function unpack(
  rows: readonly ScoreRow[],
  scores: Scores,
  { answers, topK, vocabularySize }: UnpackOptions,
): ScoredRow[] {
  return rows.map((row, r) => {
    const at = answers[r] ?? none;
    const k = topsOf(row, vocabularySize);
    const tops = { at, width: topK, k };
    const scored: ScoredRow = {
      logprobs: pick(scores.logprobs, new Float32Array(at.length), { at, width: 1, k: 1 }),
      ranks: pick(scores.ranks, new Int32Array(k > 0 ? at.length : 0), { at, width: 1, k: 1 }),
      topIds: pick(scores.topIds, new Int32Array(at.length * k), tops),
      topLogprobs: pick(scores.topLogprobs, new Float32Array(at.length * k), tops),
      k,
    };
    if (row.wantsNext) takeGreedy(scored);
    return scored;
  });
}

/** The first `k` columns of the rows `at` of `from` [n, width], into `to`, as far as that has room. */
function pick<T extends Int32Array | Float32Array>(
  from: T,
  to: T,
  { at, width, k }: { at: Int32Array; width: number; k: number },
): T {
  for (let i = 0; i < to.length; i++) {
    const column = i % k;
    to[i] = from[(at[(i - column) / k] ?? 0) * width + column] ?? NaN;
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
