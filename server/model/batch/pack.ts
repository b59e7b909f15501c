// Rows to the arrays that the graph takes. Pure; knows no runtime.
import type { Provider } from '../../onnx/target.ts';
import { asksAnything, type ScoreRow } from '../scoring.ts';
import { AskedTokens, candidatesAt, type Scored } from './asked.ts';
import { growTree, type PrefixTree, type TreeOptions } from './prefix-tree.ts';

/** The tokens of a batch, each distinct (prefix, token) once. */
export interface PackedTokens extends PrefixTree {
  /** int32 [rows]: the last token of each row */
  readonly last: Int32Array;
}

/** A batch that is scored. */
export interface Batch extends PackedTokens, Scored {
  readonly topK: number;
  readonly wantsRanks: boolean;
  readonly wantsEntropies: boolean;
  /** int32 [exposed]: packed tokens whose hidden rows are wanted */
  readonly exposed: Int32Array;
  /** Of each row: which of `exposed` are its own, one per position that it asks. Not for the graph. */
  readonly exposures: readonly Int32Array[];
  /** Of each row: which number of `scored` answers each position that it asks. Not for the graph. */
  readonly answers: readonly Int32Array[];
}

export interface PackOptions extends TreeOptions {
  readonly vocabularySize: number;
  /** Most positions whose logits are in memory at once. */
  readonly maxChunkRows: number;
}

export interface ChunkOptions {
  readonly vocabularySize: number;
  readonly provider: Provider;
  /** Of the largest pass. */
  readonly maxBatchTokens: number;
}

/** The batch of `rows`, or nothing when no position is scored. */
export function pack(rows: readonly ScoreRow[], options: PackOptions): Batch | undefined {
  if (!rows.some(asksAnything)) return undefined;
  const tree = growTree(tokensOf(rows), options);
  return {
    ...withLast(tree),
    ...packScored(rows, tree, options.maxChunkRows),
    ...packHidden(rows, tree),
    topK: rows.reduce((most, row) => Math.max(most, topsOf(row, options.vocabularySize)), 0),
    wantsRanks: rows.some((row) => row.wantsRanks),
    wantsEntropies: rows.some((row) => row.wantsEntropies),
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

/** Where to score: what several rows of a group ask, once. */
function packScored(rows: readonly ScoreRow[], { tokens, paths }: PrefixTree, maxRows: number) {
  const asked = new AskedTokens(tokens, countAllAsked(rows));
  const answers = rows.map((row) => new Int32Array(countAsked(row)));
  for (const { temperature, members } of groupsOf(rows)) {
    asked.startGroup(temperature);
    for (const r of members) askTargets(asked, rows[r], paths[r], answers[r]);
    // Last, since the tops are those of any target there.
    for (const r of members) {
      if (rows[r]?.wantsNext) answers[r]?.fill(asked.next(paths[r]?.at(-1) ?? 0), -1);
    }
  }
  return { ...asked.inChunks(maxRows), answers };
}

const countAsked = ({ positions, wantsNext }: ScoreRow): number =>
  positions.length + Number(wantsNext ?? false);

const countAllAsked = (rows: readonly ScoreRow[]): number =>
  rows.reduce((total, row) => total + countAsked(row), 0);

function askTargets(
  asked: AskedTokens,
  row: ScoreRow | undefined,
  path: Int32Array = none,
  answers: Int32Array = none,
): void {
  for (const [i, at] of row?.positions.entries() ?? []) {
    const number = asked.target(path[at - 1] ?? 0, path[at] ?? 0);
    answers[i] = number;
    if (row?.candidates) asked.beside(number, candidatesAt(row.candidates, i));
  }
}

/** Hidden rows that are wanted, each once: that of a position is the token before it. */
function packHidden(rows: readonly ScoreRow[], { tokens, paths }: PrefixTree) {
  const numbers = new Int32Array(rows.some((row) => row.wantsHidden) ? tokens.length : 0).fill(-1);
  const exposed: number[] = [];
  const exposures = rows.map((row, r) => {
    const { positions, wantsHidden, wantsNext } = row;
    if (!wantsHidden) return none;
    const path = paths[r] ?? none;
    const all = wantsNext ? [...positions, path.length] : positions;
    return Int32Array.from(all, (position) => {
      const token = path[position - 1] ?? 0;
      if (numbers[token] === -1) numbers[token] = exposed.push(token) - 1;
      return numbers[token] ?? 0;
    });
  });
  return { exposed: Int32Array.from(exposed), exposures };
}

/** Rows that may ask for the same value: of one temperature, and without candidates, which are each row's own. */
function groupsOf(rows: readonly ScoreRow[]): { temperature: number; members: number[] }[] {
  const own: { temperature: number; members: number[] }[] = [];
  const shared = new Map<number, number[]>();
  for (const [r, { temperature = 1, candidates }] of rows.entries()) {
    const members = shared.get(temperature);
    if (candidates) own.push({ temperature, members: [r] });
    else if (members) members.push(r);
    else shared.set(temperature, [r]);
  }
  return [...Array.from(shared, ([temperature, members]) => ({ temperature, members })), ...own];
}

const none = new Int32Array();

/** How many tops each position of `row` has. */
export const topsOf = ({ topK = 0, wantsNext }: ScoreRow, vocabularySize: number): number =>
  Math.max(Math.min(topK, vocabularySize), wantsNext ? 1 : 0);

/** Of the float32 logits of a chunk, and its rows. */
const chunkLimits = {
  CPU: { bytes: 256 << 20, rows: 512 },
  CUDA: { bytes: 1 << 30, rows: 2048 },
} as const;
const minChunkRows = 32;

/**
 * Positions per chunk, so that the logits of one chunk stay within bounds. A GPU multiplies more rows in less time each;
 * their logits shall not be most of what a small pass takes there.
 */
export function chunkRowsFor({ vocabularySize, provider, maxBatchTokens }: ChunkOptions): number {
  const { bytes, rows } = chunkLimits[provider];
  const most = Math.min(rows, Math.max(chunkLimits.CPU.rows, maxBatchTokens >> 3));
  return Math.min(most, Math.max(minChunkRows, Math.floor(bytes / (4 * vocabularySize))));
}
