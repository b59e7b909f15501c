// What packing takes, and what it leaves to compute: rows of a realistic mix, a group of completions of one prompt, and
// many long rows that begin alike. Shares are exact; times are those of the machine that the first line names.
import { cpus } from 'node:os';
import { type Batch, pack } from '../server/model/batch/pack.ts';
import { PassDraft } from '../server/model/batch/pass.ts';
import { layOutRectangles } from '../server/model/batch/rectangles.ts';
import { positionsFrom, type ScoreRow } from '../server/model/scoring.ts';

const vocabularySize = 32_000;
const options = { vocabularySize, maxChunkRows: 512 };
const rounds = 21;

let seed = 1;
/** A whole number from `min` to `max`, the same ones at every run. */
function draw(min: number, max: number): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return min + Math.floor((seed / 2 ** 32) * (max - min + 1));
}
const tokens = (count: number) => Array.from({ length: count }, () => draw(0, vocabularySize - 1));

function row(prompt: readonly number[], completion: number): ScoreRow {
  const ids = Int32Array.from([...prompt, ...tokens(completion)]);
  return { tokens: ids, positions: positionsFrom(prompt.length, ids.length) };
}
const many = (count: number, make: () => ScoreRow) => Array.from({ length: count }, make);
const group = (size: number, prompt: number, completion: () => number) => {
  const ids = tokens(prompt);
  return many(size, () => row(ids, completion()));
};

const shapes: { name: string; rows: ScoreRow[] }[] = [
  {
    name: 'mix: 50-800 + 20-1,000',
    rows: many(18, () => row(tokens(draw(50, 800)), draw(20, 1000))),
  },
  {
    name: 'mix in groups of 4',
    rows: Array.from({ length: 6 }, () => group(4, draw(50, 800), () => draw(20, 1000))).flat(),
  },
  { name: 'G = 16, 512 + 512', rows: group(16, 512, () => 512) },
  { name: '256 × 2,000, nothing alike', rows: many(256, () => row(tokens(1000), 1000)) },
  { name: '256 × 2,000, 1,900 alike', rows: group(256, 1900, () => 100) },
  { name: '1,000 short rows', rows: many(1000, () => row(tokens(draw(1, 10)), draw(1, 10))) },
];

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

function time(run: () => void): string {
  const times = Array.from({ length: rounds }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  return median(times).toFixed(2);
}

/** Puts the rows into one pass without a bound, as the queue does before it sends them. */
function draft(rows: readonly ScoreRow[]): void {
  const pass = new PassDraft(1e9);
  for (const { tokens } of rows) pass.add(tokens);
  pass.report(0);
}

/** Pairs of query and key that attention computes, and how many of them no row asked for. */
function attention(batch: Batch): { pairs: number; padding: number } {
  const { positions } = batch;
  const { rectangles, slots } = layOutRectangles(batch);
  let pairs = 0;
  let padding = 0;
  for (let r = 0; r < rectangles.length; r += 5) {
    const [rows = 0, length = 0, past = 0, start = 0] = Array.from(
      rectangles.subarray(r, r + 5),
      Number,
    );
    pairs += rows * length * (past + length / 2);
    for (let slot = start; slot < start + rows * length; slot++) {
      const at = past + ((slot - start) % length);
      if (positions[slots[slot] ?? 0] !== at) padding += at;
    }
  }
  return { pairs, padding };
}

const plainPairs = (rows: readonly ScoreRow[]) =>
  rows.reduce((sum, { tokens }) => sum + tokens.length ** 2 / 2, 0);
const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)} %`;

console.log(cpus()[0]?.model ?? 'unknown processor');
console.log(
  '| rows | tokens asked | packed | head, chunks × places | rectangles | attention ÷ plain | attention padding | queue, ms | pack, ms |',
);
console.log('|---|---|---|---|---|---|---|---|---|');
for (const { name, rows } of shapes) {
  const batch = pack(rows, options);
  if (!batch) throw new Error('nothing is scored');
  const asked = rows.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const { pairs, padding } = attention(batch);
  const [chunks, chunkRows] = batch.scoredShape;
  const cells = [
    name,
    asked,
    `${batch.tokens.length} (${percent(batch.tokens.length, asked)})`,
    `${chunks} × ${chunkRows}`,
    layOutRectangles(batch).rectangles.length / 5,
    (pairs / plainPairs(rows)).toFixed(2),
    percent(padding, pairs),
    time(() => draft(rows)),
    time(() => pack(rows, options)),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
