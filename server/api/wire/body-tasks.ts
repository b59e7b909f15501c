// What is asked of a thread that reads and writes bodies, and what it does. Pure.
import { type PrintTask, printRows } from '../answer/print.ts';
import { packNumbers, parseJson } from './json-body.ts';

export type BodyTask =
  /** Lists of numbers come back as typed arrays. */
  | { readonly kind: 'Parse'; readonly bytes: Uint8Array }
  | { readonly kind: 'Print'; readonly rows: PrintTask };

export interface BodyResult {
  readonly value: unknown;
  /** What goes along without a copy. */
  readonly buffers: readonly ArrayBuffer[];
}

/** Throws SyntaxError for what is not JSON. */
export function perform(task: BodyTask): BodyResult {
  if (task.kind === 'Parse') return packNumbers(parseJson(task.bytes));
  const bytes = new TextEncoder().encode(printRows(task.rows));
  return { value: bytes, buffers: [bytes.buffer] };
}
