// Dense matrices and their parts. Pure number code; large products are left to whoever has a fast one.

/** float32 [rows, columns], row by row */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** a·b, or a·bᵀ, [a.rows, b.columns or b.rows] */
export type Multiply = (a: Matrix, b: Matrix, how: 'Plain' | 'Transposed') => Promise<Float32Array>;

/** From `from` to before `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export const lengthOf = ({ from, to }: Range): number => to - from;

export const zeros = (rows: number, columns: number): Matrix => ({
  rows,
  columns,
  values: new Float32Array(rows * columns),
});

/** The ranges of `size` that make up 0 … count; the last may be shorter. */
export const rangesOf = (count: number, size: number): Range[] =>
  Array.from({ length: Math.ceil(count / size) }, (_, i) => {
    return { from: i * size, to: Math.min((i + 1) * size, count) };
  });

/** A copy of a part. */
export function part(matrix: Matrix, rows: Range, columns: Range): Matrix {
  const copy = zeros(lengthOf(rows), lengthOf(columns));
  for (let row = rows.from, to = 0; row < rows.to; row++, to += copy.columns) {
    const start = row * matrix.columns;
    copy.values.set(matrix.values.subarray(start + columns.from, start + columns.to), to);
  }
  return copy;
}

/** Whole rows, not copied. */
export const rowsOf = ({ columns, values }: Matrix, { from, to }: Range): Matrix => ({
  rows: to - from,
  columns,
  values: values.subarray(from * columns, to * columns),
});

export interface Corner {
  readonly row: number;
  readonly column: number;
}

/** Puts `source` into `matrix` with its first element at `at`. */
export function place(matrix: Matrix, source: Matrix, at: Corner): void {
  for (let row = 0; row < source.rows; row++) {
    const values = rowsOf(source, { from: row, to: row + 1 }).values;
    matrix.values.set(values, (at.row + row) * matrix.columns + at.column);
  }
}

/** a − b, into a. */
export function subtract(a: Float32Array, b: Float32Array): void {
  for (let i = 0; i < a.length; i++) a[i] = (a[i] ?? 0) - (b[i] ?? 0);
}
