// The Cholesky factor of what a layer's inputs have in common, and equations with it, tile by tile: all that grows
// with the cube of the columns is a product of matrices. Pure number code.
import {
  lengthOf,
  type Matrix,
  type Multiply,
  part,
  place,
  type Range,
  rangesOf,
  rowsOf,
  subtract,
} from './matrix.ts';

/** Columns that are worked on together, here and in gptq.ts. */
export const tileColumns = 128;

export interface Factor {
  /** [K, K]: L with L·Lᵀ = H in and below the diagonal; above it is nothing of use. */
  readonly lower: Matrix;
  /** The inverse of each tile on the diagonal of L, [128, 128] or less. */
  readonly inverses: readonly Matrix[];
}

/**
 * Adds `damping` to the diagonal of `h` and factors it in place. H is a sum of squares, so no pivot can be below
 * `damping` but by the rounding of float32: there it is lifted.
 */
export async function factorize(
  h: Matrix,
  damping: number,
  multiply: Multiply,
  signal: AbortSignal,
): Promise<Factor> {
  const size = h.rows;
  for (let i = 0; i < size; i++) h.values[i * size + i] = (h.values[i * size + i] ?? 0) + damping;
  const inverses: Matrix[] = [];
  for (const tile of rangesOf(size, tileColumns)) {
    signal.throwIfAborted();
    const width = lengthOf(tile);
    const column = part(h, { from: tile.from, to: size }, tile);
    if (tile.from > 0) {
      const before = part(h, { from: tile.from, to: size }, { from: 0, to: tile.from });
      const top = rowsOf(before, { from: 0, to: width });
      subtract(column.values, await multiply(before, top, 'Transposed'));
    }
    const diagonal = rowsOf(column, { from: 0, to: width });
    const inverse = factorizeTile(diagonal, damping);
    inverses.push(inverse);
    const below = rowsOf(column, { from: width, to: column.rows });
    if (below.rows > 0) below.values.set(await multiply(below, inverse, 'Transposed'));
    place(h, column, { row: tile.from, column: tile.from });
  }
  return { lower: h, inverses };
}

/** `tile` [n, n] → its factor, in place, with zeros above; gives the inverse of the factor. In float64. */
function factorizeTile(tile: Matrix, least: number): Matrix {
  const size = tile.rows;
  const lower = Float64Array.from(tile.values);
  for (let column = 0; column < size; column++) {
    const own = column * size;
    const square = (lower[own + column] ?? 0) - dot(lower, own, own, column);
    const pivot = Math.sqrt(Math.max(square, least));
    lower[own + column] = pivot;
    lower.fill(0, own + column + 1, own + size);
    for (let row = column + 1; row < size; row++) {
      const at = row * size;
      lower[at + column] = ((lower[at + column] ?? 0) - dot(lower, at, own, column)) / pivot;
    }
  }
  tile.values.set(lower);
  return { rows: size, columns: size, values: Float32Array.from(invertLower(lower, size)) };
}

/** Of `count` values from `a` on and from `b` on. */
function dot(values: Float64Array, a: number, b: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += (values[a + i] ?? 0) * (values[b + i] ?? 0);
  return sum;
}

/** The inverse of a lower triangle [size, size], row by row from the rows above. */
function invertLower(lower: Float64Array, size: number): Float64Array {
  const inverse = new Float64Array(size * size);
  for (let row = 0; row < size; row++) {
    const own = inverse.subarray(row * size, (row + 1) * size);
    const pivot = lower[row * size + row] ?? 1;
    for (let other = 0; other < row; other++) {
      const times = (lower[row * size + other] ?? 0) / pivot;
      for (let i = 0; i <= other; i++)
        own[i] = (own[i] ?? 0) - times * (inverse[other * size + i] ?? 0);
    }
    own[row] = 1 / pivot;
  }
  return inverse;
}

/** X with X·H = `right` [N, K], H = L·Lᵀ: into `right`. */
export async function solve(
  right: Matrix,
  { lower, inverses }: Factor,
  multiply: Multiply,
  signal: AbortSignal,
): Promise<void> {
  const every = { from: 0, to: right.rows };
  const tiles = rangesOf(lower.rows, tileColumns);
  const step = async (tile: Range, known: Range, how: 'Plain' | 'Transposed'): Promise<void> => {
    signal.throwIfAborted();
    const own = part(right, every, tile);
    if (lengthOf(known) > 0) {
      const coefficients = how === 'Plain' ? part(lower, known, tile) : part(lower, tile, known);
      subtract(own.values, await multiply(part(right, every, known), coefficients, how));
    }
    const inverse = inverses[tile.from / tileColumns];
    if (inverse) own.values.set(await multiply(own, inverse, how));
    place(right, own, { row: 0, column: tile.from });
  };
  // Y·Lᵀ = right, from the left; then X·L = Y, from the right.
  for (const tile of tiles) await step(tile, { from: 0, to: tile.from }, 'Transposed');
  for (const tile of tiles.toReversed()) {
    await step(tile, { from: tile.to, to: lower.rows }, 'Plain');
  }
}
