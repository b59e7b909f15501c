// Columns as JSON text. Pure: threads do it too.
import { float32Text, logprobText } from '../float32.ts';
import { type Column, type Values, widthOf } from './columns.ts';

/** Some rows of a column. */
export interface PrintTask extends Omit<Column, 'name'> {
  /** int32 [rows + 1], from 0; absent: a value per row, not a list of them. */
  readonly offsets?: Int32Array;
}

/** The rows, separated by commas, without brackets around them. */
export function printRows(task: PrintTask): string {
  const { offsets, values } = task;
  if (!offsets) return printPositions(task, 0, values.length / widthOf(task));
  const rows = Array.from(offsets.subarray(1), (end, r) => {
    return `[${printPositions(task, offsets[r] ?? 0, end)}]`;
  });
  return rows.join(',');
}

function printPositions(task: PrintTask, from: number, to: number): string {
  const { kind, values, width } = task;
  const print = printer(kind, values);
  const texts: string[] = [];
  for (let position = from; position < to; position++) {
    texts.push(
      width === undefined
        ? print(values[position])
        : printList(values, position * width, { width, print }),
    );
  }
  return texts.join(',');
}

/** A list without any value is null as a whole. */
function printList(
  values: Values,
  start: number,
  { width, print }: { width: number; print: Printer },
): string {
  const texts: string[] = [];
  let isEmpty = width > 0;
  for (let i = start; i < start + width; i++) {
    const text = print(values[i]);
    isEmpty &&= text === 'null';
    texts.push(text);
  }
  return isEmpty ? 'null' : `[${texts.join(',')}]`;
}

type Printer = (value: number | undefined) => string;

function printer(kind: Column['kind'], values: Values): Printer {
  if (kind === 'Id') return (value = -1) => (value < 0 ? 'null' : String(value));
  const print =
    kind === 'LogProb' ? logprobText : values instanceof Float32Array ? float32Text : String;
  return (value = NaN) => (Number.isNaN(value) ? 'null' : print(value));
}
