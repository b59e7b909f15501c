// Parquet files: a data set row group by row group, and the scores of one written in row groups.
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { type ColumnSource, fileWriter, ParquetWriter } from 'hyparquet-writer';
import { AppError } from '../../common/errors.ts';
import type { DataRecord } from './record.ts';

export const isParquet = (file: string): boolean => file.endsWith('.parquet');

/** Those of `columns` that there are. Memory: one row group. Throws INVALID_REQUEST for a file that is none. */
export async function* parquetRows(
  input: string,
  { skip, columns: names }: { skip: number; columns: readonly string[] },
): AsyncGenerator<DataRecord> {
  const file = await asyncBufferFromFile(input);
  const metadata = await parquetMetadataAsync(file).catch((cause: unknown) => {
    throw new AppError('INVALID_REQUEST', `reading ${input}: it is not parquet`, { cause });
  });
  const present = new Set(metadata.schema.map(({ name }) => name));
  const columns = names.filter((name) => present.has(name));
  const rows = Number(metadata.num_rows);
  let end = 0;
  for (const group of metadata.row_groups) {
    const rowStart = Math.max(skip, end);
    end += Number(group.num_rows);
    if (rowStart >= end) continue;
    const values = await parquetReadObjects({
      file,
      metadata,
      compressors,
      columns,
      rowStart,
      rowEnd: end,
    });
    for (const [i, value] of values.entries()) {
      const line = rowStart + i;
      yield { line, value: plain(value), share: (line + 1) / rows };
    }
  }
}

/** As JSON would have it: int64 columns come as bigint, and what is null is left out. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (isTypedArray(value)) return Array.from(value, Number);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
  return Object.fromEntries(entries.map(([name, item]) => [name, plain(item)]));
}

const isTypedArray = (value: unknown): value is Iterable<number | bigint> =>
  ArrayBuffer.isView(value) && Symbol.iterator in value;

export type OutputRow = Readonly<Record<string, unknown>>;

/** Values that are written at once. */
const groupValues = 1 << 20;

/**
 * Rows of numbers and lists of numbers: float64, and lists of float32. A column that a row lacks is null there.
 * `rows` is read twice: for the columns, then for their values.
 */
export async function writeParquet(
  output: string,
  rows: () => AsyncIterable<OutputRow>,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const lists = await listColumns(rows());
  const writer = new ParquetWriter({
    writer: fileWriter(output),
    schema: schemaOf(lists),
    kvMetadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
  let group: OutputRow[] = [];
  let values = 0;
  const flush = async () => {
    if (group.length > 0) {
      await writer.write({ columnData: columnsOf(group, lists), rowGroupSize: group.length });
    }
    [group, values] = [[], 0];
  };
  for await (const row of rows()) {
    group.push(row);
    for (const value of Object.values(row)) values += Array.isArray(value) ? value.length : 1;
    if (values >= groupValues) await flush();
  }
  await flush();
  await writer.finish();
}

/** Name of each column → whether its values are lists. */
async function listColumns(rows: AsyncIterable<OutputRow>): Promise<Map<string, boolean>> {
  const lists = new Map<string, boolean>();
  for await (const row of rows) {
    for (const [name, value] of Object.entries(row)) lists.set(name, Array.isArray(value));
  }
  return lists;
}

type Schema = ConstructorParameters<typeof ParquetWriter>[0]['schema'];

function schemaOf(lists: ReadonlyMap<string, boolean>): Schema {
  const columns = Array.from(lists, ([name, isList]): Schema => {
    const repetition_type = 'OPTIONAL' as const;
    if (name === 'line') return [{ name, repetition_type, type: 'INT64' }];
    if (!isList) return [{ name, repetition_type, type: 'DOUBLE' }];
    return [
      { name, repetition_type, num_children: 1, converted_type: 'LIST' },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', repetition_type, type: 'FLOAT' },
    ];
  });
  return [{ name: 'root', num_children: lists.size }, ...columns.flat()];
}

const columnsOf = (
  rows: readonly OutputRow[],
  lists: ReadonlyMap<string, boolean>,
): ColumnSource[] =>
  Array.from(lists.keys(), (name) => ({
    name,
    data: rows.map((row) => (name === 'line' ? BigInt(Number(row[name])) : (row[name] ?? null))),
  }));
