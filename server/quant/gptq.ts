// 4-bit blocks with error compensation: what one column loses by rounding, the columns that are rounded after it make
// up for, as far as the layer's inputs have both in common (GPTQ, arXiv:2210.17323). In the form of LDLQ (QuIP,
// arXiv:2307.13304): with H = XᵀX = L·Lᵀ the loss ‖X·(W - Q)ᵀ‖² is the sum over columns j of
//   (e_j · L_jj + Σ_{i > j} e_i · L_ij)²,  e = W - Q,
// so columns go from last to first, and each is rounded after Σ e_i · L_ij / L_jj of those behind it was added.
// Pure number code: products of matrices and work on rows are left to whoever has threads.
import { bfloat16Value } from './bfloat16.ts';
import { emptyBlock, loadBlock } from './block.ts';
import { type Blocks, blockSize, blocksPerRow } from './blocks.ts';
import { type Factor, factorize, solve, tileColumns } from './factor.ts';
import { chooseInt4Scale, nearestInt4, paddedImportance, storeInt4 } from './int4.ts';
import {
  lengthOf,
  type Matrix,
  type Multiply,
  part,
  type Range,
  rangesOf,
  subtract,
} from './matrix.ts';

/** What runs through a layer, as sums over the rows of a text. */
export interface Inputs {
  /** X'ᵀX' [K, K], X' in the model as it is quantized so far. Taken over. */
  readonly own: Matrix;
  /** XᵀX' [K, K], X in the unquantized model. Taken over. */
  readonly across: Matrix;
  /** Of X. */
  readonly rows: number;
}

/** What the rounding of every matrix that reads the same input needs to know of it. */
export interface Calibration {
  readonly factor: Factor;
  /** Per column, the diagonal of H */
  readonly importance: Float32Array;
  /** (XᵀX' - X'ᵀX') [K, K] */
  readonly drift: Matrix;
}

/**
 * Part of the mean diagonal that is added to it: the text does not show everything. With few rows for many columns what
 * columns have in common is mostly chance, and making up for it would fit the text, not the model.
 */
const damping = (columns: number, rows: number): number => 0.01 + (columns / rows) ** 2;
/** Part of the error of earlier layers that a layer makes up for. All of it would fit the text, not the model. */
const driftPart = 0.5;

export async function calibrate(
  { own, across, rows }: Inputs,
  multiply: Multiply,
  signal: AbortSignal,
): Promise<Calibration> {
  subtract(across.values, own.values);
  const size = own.rows;
  const diagonal = Float32Array.from({ length: size }, (_, i) => own.values[i * size + i] ?? 0);
  const mean = diagonal.reduce((sum, value) => sum + value, 0) / size;
  // An input that is always zero tells nothing: any positive number gives rounding to nearest.
  const added = mean > 0 ? damping(size, rows) * mean : 1;
  const factor = await factorize(own, added, multiply, signal);
  return { factor, importance: diagonal.map((value) => value + added), drift: across };
}

/**
 * Moves `weights` [N, K] so that on the inputs X' they give part of what they gave on X: the least squares solution of
 * X'·Tᵀ = X·Wᵀ is T = W + W·(XᵀX' - X'ᵀX')·H⁻¹. After GPTAQ, arXiv:2504.02692.
 */
export async function followDrift(
  weights: Matrix,
  { factor, drift }: Calibration,
  multiply: Multiply,
  signal: AbortSignal,
): Promise<void> {
  const { rows, columns, values } = weights;
  const shift = { rows, columns, values: await multiply(weights, drift, 'Plain') };
  await solve(shift, factor, multiply, signal);
  for (let i = 0; i < values.length; i++) {
    values[i] = (values[i] ?? 0) + driftPart * (shift.values[i] ?? 0);
  }
}

/** Some rows of one tile of columns of a matrix. Rows do not depend on each other. */
export interface TileRows {
  readonly rows: Range;
  /** At most 128, from a multiple of 128 on. */
  readonly columns: Range;
  /** [N, K]: the wanted weights up to the end of the tile; behind it, and in the tile afterwards, wanted - rounded. */
  readonly errors: Matrix;
  /** [N, width]: Σ e_i · L_ij of the columns behind the tile; nothing of it for the last tile. */
  readonly feedback: Float32Array;
  /** [width, width]: the tile of L on the diagonal. */
  readonly lower: Float32Array;
  /** [width] */
  readonly importance: Float32Array;
  readonly into: Blocks;
}

/** Rounds the tiles of a matrix with whatever threads there are. */
export type RoundTile = (tile: Omit<TileRows, 'rows'>, signal: AbortSignal) => Promise<void>;

/** weights [N, K] → `into`. What is left in `weights` are the errors. */
export async function roundCompensated(
  { weights, into }: { weights: Matrix; into: Blocks },
  { factor, importance }: Pick<Calibration, 'factor' | 'importance'>,
  { multiply, roundTile }: { multiply: Multiply; roundTile: RoundTile },
  signal: AbortSignal,
): Promise<void> {
  const { lower } = factor;
  const every = { from: 0, to: weights.rows };
  for (const columns of rangesOf(weights.columns, tileColumns).toReversed()) {
    signal.throwIfAborted();
    const behind = { from: columns.to, to: weights.columns };
    const feedback =
      lengthOf(behind) > 0
        ? await multiply(part(weights, every, behind), part(lower, behind, columns), 'Plain')
        : new Float32Array();
    const tile = {
      columns,
      errors: weights,
      feedback,
      lower: part(lower, columns, columns).values,
      importance: importance.subarray(columns.from, columns.to),
      into,
    };
    await roundTile(tile, signal);
  }
}

export function roundTileRows(tile: TileRows): void {
  const { from, to } = tile.columns;
  const width = to - from;
  const pivots = Float64Array.from({ length: width }, (_, i) => tile.lower[i * width + i] ?? 1);
  const work: Work = {
    wanted: new Float64Array(width),
    weights: Float64Array.from(tile.lower, (value, at) => value / (pivots[at % width] ?? 1)),
    importance: paddedImportance(tile.importance),
    block: emptyBlock(),
  };
  const blocks = rangesOf(width, blockSize).toReversed();
  for (let row = tile.rows.from; row < tile.rows.to; row++) {
    const start = row * tile.errors.columns + from;
    for (let i = 0; i < width; i++) {
      const feedback = (tile.feedback[row * width + i] ?? 0) / (pivots[i] ?? 1);
      work.wanted[i] = (tile.errors.values[start + i] ?? 0) + feedback;
    }
    for (const block of blocks) roundBlock(tile, work, row, block);
  }
}

/** What is the same for all rows of a tile, and room for one row. */
interface Work {
  /** Weights with all feedback so far, [width] */
  readonly wanted: Float64Array;
  /** L_ij / L_jj, [width, width] */
  readonly weights: Float64Array;
  readonly importance: Float32Array;
  readonly block: Float64Array;
}

function roundBlock(
  { columns, errors, into }: TileRows,
  { wanted, weights, importance, block }: Work,
  row: number,
  { from, to }: Range,
): void {
  const width = wanted.length;
  const start = row * errors.columns + columns.from;
  const index = row * blocksPerRow(errors.columns) + (columns.from + from) / blockSize;
  const extreme = loadBlock(block, wanted, from, to);
  const half = chooseInt4Scale(block, extreme, importance, from);
  into.scales[index] = half;
  const scale = bfloat16Value(half);
  const inverse = half === 0 ? 0 : 1 / scale;
  for (let i = to - 1; i >= from; i--) {
    const steps = nearestInt4((wanted[i] ?? 0) * inverse);
    block[i - from] = steps;
    const error = (errors.values[start + i] ?? 0) - steps * scale;
    errors.values[start + i] = error;
    for (let j = 0, at = i * width; j < i; j++, at++) {
      wanted[j] = (wanted[j] ?? 0) + error * (weights[at] ?? 0);
    }
  }
  storeInt4(into.codes, (index * blockSize) / 2, block);
}
