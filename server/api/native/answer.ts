// Scored rows as the columns of an answer. Pure.
import type { ScoredRow } from '../../model/scoring.ts';
import type { Column, Kind, Values } from '../answer/columns.ts';
import type { RowAsk } from './asks.ts';
import type { Places } from './places.ts';
import type { Output } from './request.ts';

export interface AnswerColumns {
  readonly offsets: Int32Array;
  readonly positions: readonly Column[];
  readonly rows: readonly Column[];
}

interface Shown {
  readonly name: string;
  readonly kind: Kind;
  readonly of: (row: ScoredRow) => Float32Array | Int32Array;
  /** Values at a position, as a list. */
  readonly width?: number;
  /** Stands where there is no value. */
  readonly fill: number;
}

type Row = RowAsk & { readonly values: ScoredRow };

export function answerColumns(
  rows: readonly Row[],
  { wants, fill }: { wants: ReadonlySet<Output>; fill?: number | null },
): AnswerColumns {
  const offsets = new Int32Array(rows.length + 1);
  for (const [r, { places }] of rows.entries()) offsets[r + 1] = (offsets[r] ?? 0) + places.length;
  const positions = shownBy(rows, fill ?? NaN)
    .filter(({ output }) => wants.has(output))
    .map(({ shown }) => columnOf(rows, shown, offsets));
  return { offsets, positions, rows: wants.has('sums') ? [sumsOf(rows)] : [] };
}

/** In the order in which they are answered. */
function shownBy(rows: readonly Row[], fill: number): { output: Output; shown: Shown }[] {
  const most = (of: (row: Row) => number) =>
    rows.reduce((width, row) => Math.max(width, of(row)), 0);
  const k = most(({ values }) => values.k);
  const width = most(({ asked }) => asked.candidates?.width ?? 0);
  const size = most(({ values }) => values.hidden.length / Math.max(1, values.logprobs.length));
  const one = { kind: 'Number', fill } as const;
  const list = { kind: 'LogProb', fill: NaN } as const;
  return [
    {
      output: 'logprobs',
      shown: { name: 'logprobs', kind: 'LogProb', of: (v) => v.logprobs, fill },
    },
    {
      output: 'topk',
      shown: { name: 'topk_ids', kind: 'Id', of: (v) => v.topIds, width: k, fill: -1 },
    },
    {
      output: 'topk',
      shown: { name: 'topk_logprobs', ...list, of: (v) => v.topLogprobs, width: k },
    },
    {
      output: 'candidates',
      shown: { name: 'candidate_logprobs', ...list, of: (v) => v.candidateLogprobs, width },
    },
    { output: 'rank', shown: { name: 'ranks', kind: 'Id', of: (v) => v.ranks, fill: -1 } },
    { output: 'entropy', shown: { name: 'entropies', ...one, of: (v) => v.entropies } },
    { output: 'logsumexp', shown: { name: 'logsumexp', ...one, of: (v) => v.normalizers } },
    { output: 'tail', shown: { name: 'tail', ...one, of: (v) => v.tails } },
    {
      output: 'hidden_states',
      shown: { name: 'hidden_states', kind: 'Number', of: (v) => v.hidden, width: size, fill: NaN },
    },
  ];
}

function columnOf(rows: readonly Row[], shown: Shown, offsets: Int32Array): Column {
  const { name, kind, width, fill } = shown;
  const columns = width ?? 1;
  const size = (offsets.at(-1) ?? 0) * columns;
  const values = (kind === 'Id' ? new Int32Array(size) : new Float32Array(size)).fill(fill);
  for (const [r, { places, values: scored }] of rows.entries()) {
    const to = values.subarray((offsets[r] ?? 0) * columns, (offsets[r + 1] ?? 0) * columns);
    scatter(capped(kind, shown.of(scored)), to, { places, columns });
  }
  return { name, kind, values, width };
}

/** A log-prob is never above 0, whatever rounding made of it. */
const capped = (kind: Kind, values: Float32Array | Int32Array) =>
  kind === 'LogProb' && values.some((value) => value > 0)
    ? values.map((value) => Math.min(0, value))
    : values;

/** The rows of `from` [m, n] to the places of `to` [length, columns], n at most `columns`. */
function scatter(
  from: Float32Array | Int32Array,
  to: Values,
  { places: { at }, columns }: { places: Places; columns: number },
): void {
  const own = at.length === 0 ? 0 : from.length / at.length;
  const [first = 0] = at;
  const isRun = (at.at(-1) ?? 0) - first === at.length - 1;
  if (isRun && own === columns) {
    to.set(from, first * columns);
    return;
  }
  for (const [i, place] of at.entries())
    to.set(from.subarray(i * own, (i + 1) * own), place * columns);
}

function sumsOf(rows: readonly Row[]): Column {
  const sums = rows.map(({ values }) =>
    values.logprobs.reduce((sum, logprob) => sum + Math.min(0, logprob), 0),
  );
  return { name: 'sums', kind: 'Number', values: Float64Array.from(sums) };
}
