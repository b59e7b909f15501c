// An answer as JSON, piece by piece.
import type { BodyThreads } from '../wire/threads.ts';
import { type Answer, type Column, countValues, widthOf } from './columns.ts';
import { type PrintTask, printRows } from './print.ts';

/** Values that are printed at once, more for a single row that has more. */
const pieceValues = 1 << 15;
/** So few are printed at once, without a thread. */
const fewValues = 1 << 13;

export const isShort = (answer: Answer): boolean => countValues(answer) <= fewValues;

/** All of a short answer. */
export function shortText(answer: Answer): string {
  let text = '';
  for (const part of partsOf(answer)) text += typeof part === 'string' ? part : printRows(part);
  return text;
}

export async function* jsonText(
  answer: Answer,
  threads: Pick<BodyThreads, 'print'>,
): AsyncGenerator<string | Uint8Array> {
  for (const part of partsOf(answer)) {
    yield typeof part === 'string' ? part : await threads.print(part);
  }
}

/** Text, and between it what is to be printed. */
function* partsOf(answer: Answer): Generator<string | PrintTask> {
  const rest = JSON.stringify(answer.rest);
  const columns = [...answer.positions, ...answer.rows];
  let mark = '{';
  for (const column of columns) {
    yield `${mark}${JSON.stringify(column.name)}:[`;
    mark = '],';
    const offsets = answer.positions.includes(column) ? answer.offsets : undefined;
    let separator = '';
    for (const task of tasksOf(column, offsets)) {
      yield separator;
      yield task;
      separator = ',';
    }
  }
  yield columns.length === 0 ? rest : `],${rest.slice(1)}`;
}

function* tasksOf(column: Column, offsets: Int32Array | undefined): Generator<PrintTask> {
  const { kind, values, width } = column;
  const rows = offsets ? offsets.length - 1 : values.length / widthOf(column);
  const startOf = (row: number) => (offsets ? (offsets[row] ?? 0) : row) * widthOf(column);
  for (let from = 0; from < rows; ) {
    let to = from + 1;
    while (to < rows && startOf(to + 1) - startOf(from) <= pieceValues) to++;
    const first = offsets?.[from] ?? 0;
    yield {
      kind,
      width,
      values: values.slice(startOf(from), startOf(to)),
      offsets: offsets?.subarray(from, to + 1).map((offset) => offset - first),
    };
    from = to;
  }
}
