// Products of matrices in plain loops, for tests of number code that leaves them to others.
import type { Matrix, Multiply } from '../../server/quant/matrix.ts';
import { noise } from './run-graph.ts';

export const multiply: Multiply = async (a, b, how) => {
  const columns = how === 'Plain' ? b.columns : b.rows;
  const product = new Float32Array(a.rows * columns);
  for (let i = 0; i < product.length; i++) {
    const [row, column] = [Math.floor(i / columns), i % columns];
    let sum = 0;
    for (let k = 0; k < a.columns; k++) {
      const other = how === 'Plain' ? k * columns + column : column * a.columns + k;
      sum += a.values[row * a.columns + k]! * b.values[other]!;
    }
    product[i] = sum;
  }
  return product;
};

export const matrix = (rows: number, columns: number, values: ArrayLike<number>): Matrix => ({
  rows,
  columns,
  values: Float32Array.from(values),
});

export function transpose({ rows, columns, values }: Matrix): Matrix {
  const turned = Array.from({ length: rows * columns }, (_, i) => {
    return values[(i % rows) * columns + Math.floor(i / rows)]!;
  });
  return matrix(columns, rows, turned);
}

/** aᵀ·b */
export async function gram(a: Matrix, b: Matrix): Promise<Matrix> {
  return matrix(a.columns, b.columns, await multiply(transpose(a), b, 'Plain'));
}

/** Rows [rows, columns] that have few things in common: numbers of rank `rank` and a little noise. */
export async function correlated(rows: number, columns: number, rank: number): Promise<Matrix> {
  const a = matrix(rows, rank, noise(rows * rank, 11));
  const b = matrix(rank, columns, noise(rank * columns, 12));
  const common = await multiply(a, b, 'Plain');
  const own = noise(rows * columns, 13);
  return matrix(
    rows,
    columns,
    common.map((x, i) => x + 0.1 * own[i]!),
  );
}
