// Token ids of a request → rows for the model. Plain loops: a body holds hundreds of thousands of ids.
import { AppError } from '../../common/errors.ts';
import { isList, type List } from './wire/list.ts';

/** One sequence as it came: its tokens are `ids[start … end)`, the rest is padding. */
export interface IdRow {
  readonly ids: List;
  readonly start: number;
  readonly end: number;
}

export const rowLength = (row: IdRow) => row.end - row.start;
export const countIds = (rows: readonly IdRow[]) =>
  rows.reduce((sum, row) => sum + rowLength(row), 0);

/** What a model and its queue can take. */
export interface RowLimits {
  vocabularySize: number;
  maxSequenceTokens: number;
}

/**
 * Rows of `value`, without the padding that `mask` marks on either side. `field` names them in errors.
 * Throws EMPTY_BATCH, or INVALID_REQUEST naming the row.
 */
export function readRows(field: string, value: List, mask?: List | null): IdRow[] {
  if (value.length === 0) throw new AppError('EMPTY_BATCH', `reading ${field}: there is no row`);
  if (mask && mask.length !== value.length) {
    throw invalid('attention_mask', `${mask.length} rows for ${value.length} rows of ${field}`);
  }
  return Array.from(value, (ids, r) => {
    const row = `${field}[${r}]`;
    if (!isList(ids)) throw invalid(row, 'expected an array of token ids');
    const [start, end] = mask ? readMask(mask[r], ids.length, r) : [0, ids.length];
    if (start === end) throw new AppError('EMPTY_BATCH', `reading ${row}: it has no token`);
    return { ids, start, end };
  });
}

/** [start, end) of the ones. */
function readMask(mask: unknown, length: number, r: number): [number, number] {
  const row = `attention_mask[${r}]`;
  if (!isList(mask) || mask.length !== length) {
    throw invalid(row, `expected ${length} values, as many as the row has ids`);
  }
  if (!isMask(mask)) throw invalid(row, 'expected only 0 and 1');
  const start = mask.indexOf(1);
  if (start < 0) return [0, 0];
  const end = mask.lastIndexOf(1) + 1;
  if (mask.indexOf(0, start) >= 0 && mask.indexOf(0, start) < end) {
    throw invalid(row, 'the ones must stand together: padding is at the ends only');
  }
  return [start, end];
}

/**
 * The tokens of each row, int32 [n].
 * Throws SEQUENCE_TOO_LONG, TOKEN_OUT_OF_RANGE or INVALID_REQUEST, naming row, position, value and limit.
 */
export function toTokens(field: string, rows: readonly IdRow[], limits: RowLimits): Int32Array[] {
  return rows.map((row, r) => {
    const length = rowLength(row);
    if (length > limits.maxSequenceTokens) {
      const message = `reading ${field}[${r}]: ${length} tokens, the limit is ${limits.maxSequenceTokens}`;
      throw new AppError('SEQUENCE_TOO_LONG', message);
    }
    const tokens = new Int32Array(length);
    for (let i = 0; i < length; i++) {
      const id = row.ids[row.start + i];
      if (!isToken(id, limits.vocabularySize))
        throw badId(id, `${field}[${r}][${row.start + i}]`, limits);
      tokens[i] = id;
    }
    return tokens;
  });
}

const isMask = (values: List): values is number[] | Int32Array =>
  values.every((value: unknown) => value === 0 || value === 1);

const isToken = (id: unknown, vocabularySize: number): id is number =>
  typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabularySize;

function badId(id: unknown, place: string, { vocabularySize }: RowLimits): AppError {
  if (!Number.isInteger(id)) return invalid(place, 'expected an integer');
  const message = `reading ${place}: ${String(id)} is not in the vocabulary, 0 to ${vocabularySize - 1}`;
  return new AppError('TOKEN_OUT_OF_RANGE', message);
}

const invalid = (place: string, problem: string) =>
  new AppError('INVALID_REQUEST', `reading ${place}: ${problem}`);
