// Where in an answer the value of a position stands. Pure.
import { type IdRow, rowLength } from '../rows.ts';

export type Align = 'target' | 'source' | 'response';

/** The places of one row. */
export interface Places {
  readonly length: number;
  /** int32 [m]: of each position that is scored. */
  readonly at: Int32Array;
}

/**
 *   row as it came   pad  a  b  c       scored: b, c
 *   target            -   -  b  c
 *   source            -   b  c
 *   response          b   c
 */
export function placesOf(row: IdRow, positions: Int32Array, align: Align): Places {
  if (align === 'response') return { length: positions.length, at: positions.map((_, i) => i) };
  const shift = align === 'source' ? 1 : 0;
  return {
    length: Math.max(0, row.ids.length - shift),
    at: positions.map((position) => row.start + position - shift),
  };
}

/** Positions that are scored, ascending: those of `mask` if there is one, else all from `start` on. */
export function scoredPositions(
  row: IdRow,
  { start, mask }: { start: number; mask?: ArrayLike<unknown> },
): Int32Array {
  const positions: number[] = [];
  for (let position = Math.max(1, start); position < rowLength(row); position++) {
    if (!mask || mask[row.start + position] === 1) positions.push(position);
  }
  return Int32Array.from(positions);
}
