// A pass that wants more memory than the GPU has is run in two halves, and those again, down to a row: the rows that
// fit get their answers, whoever else was in the pass. It does not know what is computed.
import { AppError, type ErrorCode } from '../../../common/errors.ts';
import type { Outcome, QueuedRow } from './queue.ts';

export type Run<Row, Result> = (rows: readonly Row[]) => Promise<readonly Result[]>;

export interface HalvingOptions {
  /** Told of each pass that was too large. */
  onHalved: (rows: number) => void;
}

const tooLarge: ErrorCode = 'OUT_OF_DEVICE_MEMORY';

/** Rejects with whatever else `run` fails of; a row that does not even fit alone is answered with its error. */
export function inHalves<Row extends QueuedRow, Result>(
  run: Run<Row, Result>,
  options: HalvingOptions,
): Run<Row, Outcome<Result>> {
  return async function runInHalves(rows): Promise<readonly Outcome<Result>[]> {
    try {
      return await run(rows);
    } catch (err: unknown) {
      if (!(err instanceof AppError) || err.code !== tooLarge) throw err;
      options.onHalved(rows.length);
      const [row, ...others] = rows;
      if (row && others.length === 0) return [rowError(row, err)];
    }
    const middle = Math.ceil(rows.length / 2);
    const first = await runInHalves(rows.slice(0, middle));
    return [...first, ...(await runInHalves(rows.slice(middle)))];
  };
}

function rowError({ tokens }: QueuedRow, cause: AppError): AppError {
  const remedy = 'send shorter rows, or give the model a class with more memory';
  const message = `scoring a row of ${tokens.length} tokens: the GPU has no memory for it; ${remedy}`;
  return new AppError(tooLarge, message, { cause, retryAfterSeconds: 5 });
}
