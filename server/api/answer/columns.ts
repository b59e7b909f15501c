// The values of an answer before they have a format: columns over the positions of all rows, and over the rows.

export type Values =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>;

/** How a value is shown: a log-probability is never above 0, an id has no meaning below 0. */
export type Kind = 'LogProb' | 'Number' | 'Id';

export interface Column {
  readonly name: string;
  readonly kind: Kind;
  /** One after another: of each position, or each row, `width` of them. NaN, or -1 for an id, where there is none. */
  readonly values: Values;
  /** Values that belong together as a list; absent: there is one, by itself. */
  readonly width?: number;
}

export interface Answer {
  /** int32 [rows + 1]: where each row's positions start. */
  readonly offsets: Int32Array;
  readonly positions: readonly Column[];
  readonly rows: readonly Column[];
  /** Everything else, in order. */
  readonly rest: Readonly<Record<string, unknown>>;
}

export const widthOf = ({ width }: Pick<Column, 'width'>): number => width ?? 1;

export const countValues = ({ positions, rows }: Answer): number =>
  [...positions, ...rows].reduce((sum, { values }) => sum + values.length, 0);
