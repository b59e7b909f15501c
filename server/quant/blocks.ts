// Matrices in blocks along K that share a scale, as MatMulNBits reads them: weight = (code - zero) · scale. Knows the
// layout, not how codes are chosen.
import { bfloat16Value } from './bfloat16.ts';

/** Weights that share a scale. */
export const blockSize = 32;

export type BlockBits = 4 | 8;

export interface Blocks {
  /**
   * uint8 [rows, blocks, 32 · bits / 8]; the last block of a row is filled up with zeros. With 4 bits the low half of
   * a byte comes first.
   */
  readonly codes: Uint8Array;
  /** bfloat16 [rows, blocks] */
  readonly scales: Uint16Array;
}

/** The code of zero. */
export const zeroCode = (bits: BlockBits): number => 2 ** (bits - 1);

export const blocksPerRow = (columns: number): number => Math.ceil(columns / blockSize);

export function allocateBlocks(rows: number, columns: number, bits: BlockBits): Blocks {
  const blocks = rows * blocksPerRow(columns);
  const zero = bits === 8 ? 128 : 0x88;
  return {
    codes: new Uint8Array((blocks * blockSize * bits) / 8).fill(zero),
    scales: new Uint16Array(blocks),
  };
}

/** Blocks → float32 [rows, columns]: what the runtime computes with. */
export function dequantize(
  { codes, scales }: Blocks,
  columns: number,
  bits: BlockBits,
): Float32Array {
  const perRow = blocksPerRow(columns);
  const zero = zeroCode(bits);
  const weights = new Float32Array((scales.length / perRow) * columns);
  for (let i = 0; i < weights.length; i++) {
    const column = i % columns;
    const at = Math.floor(i / columns) * perRow * blockSize + column;
    const scale = bfloat16Value(scales[Math.floor(at / blockSize)] ?? 0);
    weights[i] = (codeAt(codes, at, bits) - zero) * scale;
  }
  return weights;
}

function codeAt(codes: Uint8Array, at: number, bits: BlockBits): number {
  if (bits === 8) return codes[at] ?? 0;
  const pair = codes[at >> 1] ?? 0;
  return at % 2 === 0 ? pair & 15 : pair >> 4;
}
