// Weights in each of the formats that graphs read, and the numbers that they stand for.
import type { BlockWeight, NormalFloatWeight } from '../../server/onnx/blocks/weights.ts';
import { float32Tensor, type Tensor } from '../../server/onnx/graph.ts';
import { noise } from './run-graph.ts';

/** The upper half of each float32. */
export const bfloat16Tensor = (values: Float32Array, shape: number[]): Tensor => {
  const halves = Uint16Array.from(new Uint32Array(values.buffer), (word) => word >>> 16);
  return { type: 'bfloat16', shape, data: new Uint8Array(halves.buffer) };
};
export const bfloat16Values = (values: Float32Array): Float32Array =>
  new Float32Array(new Uint32Array(values.buffer).map((word) => word & 0xffff0000).buffer);

const bytes = (data: Uint8Array, shape: number[]): Tensor => ({ type: 'uint8', shape, data });

/** Codes from 0 to 2^bits - 1, one after another without a pattern. */
const codesOf = (count: number, bits: number): Uint8Array =>
  Uint8Array.from(noise(count, 7), (value) => Math.floor(((value + 1) / 2) * 2 ** bits));

/** A block weight [rows, columns], and the numbers it stands for. */
export function blockWeight(
  bits: 4 | 8,
  { rows, columns, blockSize }: { rows: number; columns: number; blockSize: number },
): { weight: BlockWeight; values: number[] } {
  const blocks = Math.ceil(columns / blockSize);
  const codes = codesOf(rows * blocks * blockSize, bits);
  const scales = noise(rows * blocks, 8);
  const packed =
    bits === 8
      ? codes
      : Uint8Array.from({ length: codes.length / 2 }, (_, i) => {
          return codes[2 * i]! | (codes[2 * i + 1]! << 4);
        });
  const exact = bfloat16Values(scales);
  const values = Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    const block = row * blocks + Math.floor(column / blockSize);
    const code = codes[block * blockSize + (column % blockSize)]!;
    return (code - 2 ** (bits - 1)) * exact[block]!;
  });
  const weight: BlockWeight = {
    format: 'Blocks',
    bits,
    rows,
    columns,
    blockSize,
    codes: bytes(packed, [rows, blocks, (blockSize * bits) / 8]),
    scales: bfloat16Tensor(scales, [rows, blocks]),
    roundsActivations: false,
  };
  return { weight, values };
}

/** Of bitsandbytes, functional.py: quantiles of a normal distribution. */
const normalFloats = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
  -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
  0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
  0.7229568362236023, 1,
];

export function normalFloatWeight(
  rows: number,
  columns: number,
): { weight: NormalFloatWeight; values: number[] } {
  const blockSize = 64;
  const codes = codesOf(rows * columns, 4);
  const scales = noise((rows * columns) / blockSize, 8);
  const packed = Uint8Array.from({ length: codes.length / 2 }, (_, i) => {
    return (codes[2 * i]! << 4) | codes[2 * i + 1]!;
  });
  const values = [...codes].map((code, at) => {
    return normalFloats[code]! * scales[Math.floor(at / blockSize)]!;
  });
  const shape = { rows, columns, blockSize };
  const tensors = {
    codes: bytes(packed, [packed.length]),
    scales: float32Tensor(scales, [scales.length]),
  };
  return { weight: { format: 'NormalFloat', ...shape, ...tensors }, values };
}
