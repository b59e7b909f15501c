// 8-bit blocks along K, as MatMulNBits and GatherBlockQuantized read them: weight = (code - 128) · scale of its block.
// Pure number code; knows no file and no graph.

/** Weights that share a scale. */
export const int8BlockSize = 32;
/** The code of zero. */
const zeroPoint = 128;

export const int8BlocksPerRow = (columns: number): number => Math.ceil(columns / int8BlockSize);

export interface Int8Blocks {
  /** uint8 [rows, blocks, 32]; the last block of a row is filled up with zeros */
  readonly codes: Uint8Array;
  /** float32 [rows, blocks] */
  readonly scales: Float32Array;
}

/**
 * weights float32 [rows, columns] → blocks. Each block is rounded to nearest on a grid that ends at its largest
 * magnitude, ±127 steps from zero; code 0 is not used.
 */
export function quantizeInt8(weights: Float32Array, columns: number): Int8Blocks {
  const blocksPerRow = int8BlocksPerRow(columns);
  const rows = weights.length / columns;
  const codes = new Uint8Array(rows * blocksPerRow * int8BlockSize).fill(zeroPoint);
  const scales = new Float32Array(rows * blocksPerRow);
  for (let row = 0, block = 0; row < rows; row++) {
    const end = (row + 1) * columns;
    for (let start = row * columns; start < end; start += int8BlockSize, block++) {
      const stop = Math.min(start + int8BlockSize, end);
      const scale = Math.fround(largest(weights, start, stop) / 127);
      scales[block] = scale;
      if (scale === 0) continue;
      const inverse = 1 / scale;
      for (let from = start, to = block * int8BlockSize; from < stop; from++, to++) {
        codes[to] = Math.floor((weights[from] ?? 0) * inverse + zeroPoint + 0.5);
      }
    }
  }
  return { codes, scales };
}

/** The largest magnitude of `values` from `start` to before `stop`. */
function largest(values: Float32Array, start: number, stop: number): number {
  let found = 0;
  for (let i = start; i < stop; i++) {
    const magnitude = Math.abs(values[i] ?? 0);
    if (magnitude > found) found = magnitude;
  }
  return found;
}

/** Blocks → float32 [rows, columns]: what the runtime computes with. */
export function dequantizeInt8({ codes, scales }: Int8Blocks, columns: number): Float32Array {
  const blocksPerRow = int8BlocksPerRow(columns);
  const rows = scales.length / blocksPerRow;
  const weights = new Float32Array(rows * columns);
  for (let i = 0; i < weights.length; i++) {
    const row = Math.floor(i / columns);
    const column = i % columns;
    const block = row * blocksPerRow + Math.floor(column / int8BlockSize);
    const code = codes[block * int8BlockSize + (column % int8BlockSize)] ?? zeroPoint;
    weights[i] = (code - zeroPoint) * (scales[block] ?? 0);
  }
  return weights;
}
