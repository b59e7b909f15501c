// One block at a time: the numbers that share a scale, in a buffer of their own where loops over them are fast.
import { blockSize } from './blocks.ts';

/** float64 [32] */
export const emptyBlock = (): Float64Array => new Float64Array(blockSize);

/** Copies `values` from `start` to before `stop`, and zeros behind them. Gives the value of the largest magnitude. */
export function loadBlock(
  block: Float64Array,
  values: Float32Array | Float64Array,
  start: number,
  stop: number,
): number {
  let extreme = 0;
  for (let i = start; i < stop; i++) {
    const value = values[i] ?? 0;
    block[i - start] = value;
    if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  }
  if (stop - start < blockSize) block.fill(0, stop - start);
  return extreme;
}
