// One record of a data set, before anybody knows what it is. Pure.
import { AppError } from '../../common/errors.ts';

export interface DataRecord {
  /** Counted from 0. */
  readonly line: number;
  readonly value: unknown;
  /** Of the data set, to the end of this record: 0 to 1. */
  readonly share: number;
}

/** INVALID_REQUEST naming the line, counted from 1. */
export const badRecord = (line: number, problem: string, cause?: unknown): AppError =>
  new AppError('INVALID_REQUEST', `reading line ${line + 1}: ${problem}`, { cause });
