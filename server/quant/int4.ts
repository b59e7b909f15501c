// 4-bit blocks by rounding to nearest under the best of several scales. Pure number code.
import { bfloat16Above, bfloat16Value } from './bfloat16.ts';
import { emptyBlock, loadBlock } from './block.ts';
import { allocateBlocks, type Blocks, blockSize, blocksPerRow } from './blocks.ts';

/**
 * Scales that are tried, as parts of the one that maps the extreme of a block on code 0. A smaller one clips the
 * extreme and serves the rest better; a larger one may happen to fit the grid.
 */
const trials = Float64Array.from({ length: 20 }, (_, i) => 1.14 - 0.028 * i);

/** The grid point, -8 … 7, that is nearest to `steps`. */
export const nearestInt4 = (steps: number): number =>
  Math.max(-8, Math.min(7, Math.floor(steps + 0.5)));

/**
 * The bits of the bfloat16 scale with the least sum of importance · error². It has the sign that maps the extreme on
 * -8, the end of the grid that has one step more. The importance of the block starts at `from`.
 */
export function chooseInt4Scale(
  block: Float64Array,
  extreme: number,
  importance: Float32Array,
  from: number,
): number {
  let best = 0;
  let least = Infinity;
  for (let trial = 0; trial < trials.length; trial++) {
    const half = bfloat16Above((extreme / -8) * (trials[trial] ?? 1));
    const scale = bfloat16Value(half);
    if (scale === 0) return 0;
    const inverse = 1 / scale;
    let error = 0;
    for (let i = 0; i < blockSize; i++) {
      const steps = (block[i] ?? 0) * inverse;
      const off = nearestInt4(steps) - steps;
      error += (importance[from + i] ?? 0) * off * off;
    }
    error *= scale * scale;
    if (error >= least) continue;
    least = error;
    best = half;
  }
  return best;
}

/** Per column, with numbers for the zeros that fill up the last block. */
export function paddedImportance(importance: Float32Array): Float32Array {
  const padded = new Float32Array(blocksPerRow(importance.length) * blockSize).fill(1);
  padded.set(importance);
  return padded;
}

/** weights float32 [rows, columns] → 4-bit blocks, into `into` when it is given; `importance` is per column. */
export function quantizeInt4(
  weights: Float32Array,
  columns: number,
  importance: Float32Array = new Float32Array(columns).fill(1),
  into: Blocks = allocateBlocks(weights.length / columns, columns, 4),
): Blocks {
  const { codes, scales } = into;
  const perRow = blocksPerRow(columns);
  const padded = paddedImportance(importance);
  const block = emptyBlock();
  for (let index = 0; index < scales.length; index++) {
    const column = (index % perRow) * blockSize;
    const start = Math.floor(index / perRow) * columns + column;
    const stop = start + Math.min(blockSize, columns - column);
    const extreme = loadBlock(block, weights, start, stop);
    const half = chooseInt4Scale(block, extreme, padded, column);
    scales[index] = half;
    const inverse = half === 0 ? 0 : 1 / bfloat16Value(half);
    for (let i = 0; i < blockSize; i++) block[i] = nearestInt4((block[i] ?? 0) * inverse);
    storeInt4(codes, (index * blockSize) / 2, block);
  }
  return into;
}

/** Grid points [32] → 16 bytes from `at` on. */
export function storeInt4(codes: Uint8Array, at: number, steps: Float64Array): void {
  for (let i = 0; i < blockSize; i += 2) {
    codes[at + i / 2] = ((steps[i] ?? 0) + 8) | (((steps[i + 1] ?? 0) + 8) << 4);
  }
}
