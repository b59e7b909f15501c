// The records of a data set, one after another and in constant memory: lines of JSON, or rows of parquet.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { isParquet, parquetRows } from './parquet.ts';
import { badRecord, type DataRecord } from './record.ts';

/** From record `skip` on; of parquet only `columns`. Throws INVALID_REQUEST naming the line, counted from 1. */
export const readRecords = (
  input: string,
  { skip, columns }: { skip: number; columns: readonly string[] },
): AsyncGenerator<DataRecord> =>
  isParquet(input) ? parquetRows(input, { skip, columns }) : jsonLines(input, skip);

async function* jsonLines(input: string, skip: number): AsyncGenerator<DataRecord> {
  const { size } = await stat(input);
  let [line, bytes] = [0, 0];
  for await (const text of createInterface({
    input: createReadStream(input),
    crlfDelay: Infinity,
  })) {
    bytes += Buffer.byteLength(text) + 1;
    const share = Math.min(1, bytes / size);
    if (line >= skip) yield { line, value: parse(text, line), share };
    line += 1;
  }
}

function parse(text: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badRecord(line, 'it is not JSON', cause);
  }
}
