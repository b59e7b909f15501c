// The rows of a native request, whichever way they came: ragged, padded, packed, or in groups that begin alike.
import { AppError } from '../../../common/errors.ts';
import { type IdRow, readRows, rowLength } from '../rows.ts';
import { isList, type List, sliceOf } from '../wire/list.ts';
import type { RewardsRequest } from './request.ts';

export interface Sequences {
  readonly rows: readonly IdRow[];
  /** What has a value per position came flat, one row after another. */
  readonly isPacked: boolean;
  /** Of rows in groups: their first token that is scored. */
  readonly starts?: readonly number[];
  /** Ids that were padding. */
  readonly paddedTokens: number;
}

type Fields = Pick<RewardsRequest, 'input_ids' | 'attention_mask' | 'cu_seqlens' | 'groups'>;

/** Throws EMPTY_BATCH, or INVALID_REQUEST naming the field and the row. */
export function readSequences(fields: Fields): Sequences {
  const { input_ids: ids, attention_mask: mask, cu_seqlens: bounds, groups } = fields;
  if ((groups && (ids || mask || bounds)) || (mask && bounds)) {
    throw invalid(
      'input_ids',
      'send rows, rows with attention_mask or cu_seqlens, or groups: one of them',
    );
  }
  if (groups) return readGroups(groups);
  if (!ids) throw invalid('input_ids', 'there is none');
  if (bounds) return { rows: readPacked(ids, bounds), isPacked: true, paddedTokens: 0 };
  const rows = readRows('input_ids', ids, mask);
  const paddedTokens = rows.reduce((sum, row) => sum + row.ids.length - rowLength(row), 0);
  return { rows, isPacked: false, paddedTokens };
}

function readPacked(ids: List, bounds: List): IdRow[] {
  const problem = 'expected 0, then the end of each row, the last that of input_ids';
  if (bounds.length < 2) throw new AppError('EMPTY_BATCH', 'reading cu_seqlens: there is no row');
  if (bounds[0] !== 0 || bounds.at(-1) !== ids.length) throw invalid('cu_seqlens', problem);
  return Array.from({ length: bounds.length - 1 }, (_, r) => {
    const [start, end] = [bounds[r], bounds[r + 1]];
    if (typeof start !== 'number' || typeof end !== 'number' || !(end >= start)) {
      throw invalid(`cu_seqlens[${r + 1}]`, problem);
    }
    if (!Number.isInteger(end)) throw invalid(`cu_seqlens[${r + 1}]`, 'expected an integer');
    if (start === end)
      throw new AppError('EMPTY_BATCH', `reading cu_seqlens: row ${r} has no token`);
    return { ids: sliceOf(ids, start, end), start: 0, end: end - start };
  });
}

function readGroups(groups: NonNullable<Fields['groups']>): Sequences {
  const starts: number[] = [];
  const rows = groups.flatMap(({ prefix, suffixes }, g) => {
    const own = readRows(`groups[${g}].suffixes`, suffixes);
    return own.map(({ ids }) => {
      starts.push(prefix.length);
      return { ids: joined(prefix, ids), start: 0, end: prefix.length + ids.length };
    });
  });
  if (rows.length === 0) throw new AppError('EMPTY_BATCH', 'reading groups: there is no row');
  return { rows, isPacked: false, starts, paddedTokens: 0 };
}

function joined(prefix: List, suffix: List): List {
  if (!(prefix instanceof Int32Array && suffix instanceof Int32Array))
    return [...prefix, ...suffix];
  const all = new Int32Array(prefix.length + suffix.length);
  all.set(prefix);
  all.set(suffix, prefix.length);
  return all;
}

/**
 * A field with a value for each of `lengths[r]` places of row r, cut into rows. Throws INVALID_REQUEST where it is
 * shorter or longer.
 */
export function perPlace(
  name: string,
  value: List,
  { lengths, isPacked }: { lengths: readonly number[]; isPacked: boolean },
): List[] {
  if (isPacked) return cut(name, value, lengths);
  if (value.length !== lengths.length) {
    throw invalid(name, `${value.length} rows for ${lengths.length} rows of input_ids`);
  }
  return Array.from(value, (row, r) => {
    if (isList(row) && row.length === lengths[r]) return row;
    throw invalid(`${name}[${r}]`, `expected ${lengths[r]} values`);
  });
}

function cut(name: string, value: List, lengths: readonly number[]): List[] {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (value.length !== total)
    throw invalid(name, `expected ${total} values, there are ${value.length}`);
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return sliceOf(value, at - length, at);
  });
}

/** A number for all rows, or one for each. */
export function perRow(name: string, value: unknown, rows: number): unknown[] {
  if (!isList(value)) return Array.from({ length: rows }, () => value);
  if (value.length === rows) return Array.from(value);
  throw invalid(name, `${value.length} values for ${rows} rows of input_ids`);
}

export const invalid = (place: string, problem: string): AppError =>
  new AppError('INVALID_REQUEST', `reading ${place}: ${problem}`);
