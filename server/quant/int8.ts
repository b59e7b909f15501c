// 8-bit blocks by rounding to nearest under the best of a few scales. Pure number code; knows no file and no graph.
import { bfloat16Above, bfloat16Value } from './bfloat16.ts';
import { emptyBlock, loadBlock } from './block.ts';
import { allocateBlocks, type Blocks, blockSize, blocksPerRow } from './blocks.ts';

/**
 * Scales that are tried for a block: the least bfloat16 that keeps its extreme, and those that follow. The grid is so
 * fine that they differ by luck alone; the best of six has a fifth less error than the first.
 */
const trials = 6;

/** weights float32 [rows, columns] → 8-bit blocks, into `into` when it is given. */
export function quantizeInt8(
  weights: Float32Array,
  columns: number,
  into: Blocks = allocateBlocks(weights.length / columns, columns, 8),
): Blocks {
  const { codes, scales } = into;
  const perRow = blocksPerRow(columns);
  const block = emptyBlock();
  for (let index = 0; index < scales.length; index++) {
    const column = (index % perRow) * blockSize;
    const start = Math.floor(index / perRow) * columns + column;
    const stop = start + Math.min(blockSize, columns - column);
    const half = chooseScale(block, loadBlock(block, weights, start, stop));
    scales[index] = half;
    const inverse = half === 0 ? 0 : 1 / bfloat16Value(half);
    for (let i = 0, to = index * blockSize; i < blockSize; i++, to++) {
      codes[to] = nearest((block[i] ?? 0) * inverse) + 128;
    }
  }
  return into;
}

/** The grid point, up to 127, that is nearest to `steps`. No weight lies below -128: see `chooseScale`. */
const nearest = (steps: number): number => Math.min(127, Math.floor(steps + 0.5));

/**
 * The bits of the scale with the least sum of error². It has the sign that maps the extreme on -128, the end of the
 * grid that has one step more.
 */
function chooseScale(block: Float64Array, extreme: number): number {
  const first = bfloat16Above(extreme / -128);
  let best = 0;
  let least = Infinity;
  for (let half = first; half < first + trials; half++) {
    const scale = bfloat16Value(half);
    if (scale === 0) return 0;
    const error = errorUnder(scale, block);
    if (error >= least) continue;
    least = error;
    best = half;
  }
  return best;
}

function errorUnder(scale: number, block: Float64Array): number {
  const inverse = 1 / scale;
  let error = 0;
  for (let i = 0; i < blockSize; i++) {
    const steps = (block[i] ?? 0) * inverse;
    const off = nearest(steps) - steps;
    error += off * off;
  }
  return error * scale * scale;
}
