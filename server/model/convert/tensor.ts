// One tensor from the checkpoint to its place in the converted file, some rows at a time.
import { type FileHandle, open } from 'node:fs/promises';
import { bytesPerNumber, decodeFloats } from '../../quant/decode.ts';
import type { Matrix } from '../../quant/matrix.ts';
import { corrupt } from '../checkpoint/safetensors.ts';
import type { FloatTensor } from '../checkpoint/tensors.ts';
import { readFully, writeFully } from '../disk.ts';
import type { Meter } from '../progress.ts';
import { blockSizes, type PlacedBlocks, type PlacedTensor } from './artifact.ts';
import type { PlannedTensor } from './plan.ts';
import type { Quantizer } from './quantizer.ts';

/** How much of a tensor is in memory at once, in bytes of its checkpoint. */
const sliceBytes = 16 << 20;

export interface TensorTools {
  readonly quantizer: Pick<Quantizer, 'quantize'>;
  readonly meter: Pick<Meter, 'add'>;
}

/** Rounds each weight by itself, or leaves the tensor as it is. */
export async function convertTensor(
  file: FileHandle,
  { tensor, placed }: { tensor: PlannedTensor; placed: PlacedTensor },
  { quantizer, meter }: TensorTools,
  signal: AbortSignal,
): Promise<void> {
  if (placed.format === 'AsIs') {
    for await (const { bytes, start } of slices(tensor.source, 1, signal)) {
      await writeFully(file, bytes, placed.whole.data.offset + start);
      meter.add(bytes.length);
    }
    return;
  }
  for await (const { values, row } of readRows(tensor, signal)) {
    const part = { rows: values.length / tensor.columns, columns: tensor.columns, values };
    const blocks = await quantizer.quantize(placed.format, part, signal);
    await writeBlocks(file, placed, { ...blocks, row });
    meter.add(values.length * bytesPerNumber[tensor.source.type]);
  }
}

/** Puts the blocks of the rows from `row` on where they belong. */
export async function writeBlocks(
  file: FileHandle,
  { codes, scales, rows }: PlacedBlocks,
  part: { readonly codes: Uint8Array; readonly scales: ArrayBufferView; readonly row: number },
): Promise<void> {
  const { buffer, byteOffset, byteLength } = part.scales;
  const at = (whole: { readonly offset: number; readonly length: number }) =>
    whole.offset + (part.row * whole.length) / rows;
  await writeFully(file, part.codes, at(codes.data));
  await writeFully(file, new Uint8Array(buffer, byteOffset, byteLength), at(scales.data));
}

/** All of a matrix, [N, K]. */
export async function readMatrix(tensor: PlannedTensor, signal: AbortSignal): Promise<Matrix> {
  const { rows, columns } = tensor;
  const whole = new Float32Array(rows * columns);
  for await (const { values, row } of readRows(tensor, signal)) whole.set(values, row * columns);
  return { rows, columns, values: whole };
}

/**
 * Rows [n, K] of a matrix, in order, and the number of the first; as many as make whole blocks of every format. A
 * matrix that is stored as [K, N] comes in one piece.
 */
async function* readRows(
  { source, columns, rows, isTransposed }: PlannedTensor,
  signal: AbortSignal,
): AsyncGenerator<{ values: Float32Array; row: number }> {
  const numberBytes = bytesPerNumber[source.type];
  if (!isTransposed) {
    const rowBytes = columns * numberBytes;
    for await (const { bytes, start } of slices(source, blockSizes.NF4 * rowBytes, signal)) {
      yield { values: decodeFloats(bytes, source.type), row: start / rowBytes };
    }
    return;
  }
  const whole = new Float32Array(rows * columns);
  for await (const { bytes, start } of slices(source, rows * numberBytes, signal)) {
    const values = decodeFloats(bytes, source.type);
    const first = start / (rows * numberBytes);
    values.forEach((value, i) => {
      whole[(i % rows) * columns + first + Math.floor(i / rows)] = value;
    });
  }
  yield { values: whole, row: 0 };
}

/** The bytes of `source`, whole units at a time, and where they start in it. Throws WEIGHTS_CORRUPT when it became shorter. */
async function* slices(
  { data }: FloatTensor,
  unitBytes: number,
  signal: AbortSignal,
): AsyncGenerator<{ bytes: Uint8Array; start: number }> {
  const step = Math.max(1, Math.floor(sliceBytes / unitBytes)) * unitBytes;
  const handle = await open(data.file);
  try {
    for (let start = 0; start < data.length; start += step) {
      signal.throwIfAborted();
      const bytes = Buffer.alloc(Math.min(step, data.length - start));
      const found = await readFully(handle, bytes, data.offset + start);
      if (found < bytes.length) throw corrupt(data.file, 'it became shorter while it was read');
      yield { bytes, start };
    }
  } finally {
    await handle.close();
  }
}
