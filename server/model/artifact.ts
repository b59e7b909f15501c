// The converted form of a checkpoint: one safetensors file of 8-bit blocks in the cache folder, named by what it was
// made from and how, so that it is made once. Knows files and the number code, not graphs.
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../../common/errors.ts';
import type { ElementType, FileRange, Tensor } from '../onnx/graph.ts';
import { bytesPerNumber, decodeFloats } from '../quant/decode.ts';
import { int8BlockSize, int8BlocksPerRow, quantizeInt8 } from '../quant/int8.ts';
import { isErrno, readFully, writeAtomically, writeFully } from './disk.ts';
import { corrupt, type Layout, layOut, type NewTensor } from './safetensors.ts';
import type { FloatTensor } from './tensors.ts';

/** Change it with every change of the bytes: old files are then left alone and new ones made. */
const recipe = `int8 block ${int8BlockSize} float32 scales, 1`;

/** How much of a tensor is in memory at once, in bytes of its checkpoint. */
const sliceBytes = 8 << 20;

/** A matrix [N, K] in 8-bit blocks: uint8 [N, blocks, 32] and float32 [N, blocks]. */
export interface ConvertedTensor {
  readonly codes: FileTensor;
  readonly scales: FileTensor;
}
type FileTensor = Tensor & { readonly data: FileRange };

export interface Conversion {
  readonly cacheDir: string;
  /** Of the checkpoint: see digest.ts. */
  readonly digest: string;
  /** What is converted, [N, K] each, by name. */
  readonly matrices: ReadonlyMap<string, FloatTensor>;
}

/**
 * The matrices in their converted file, by name. The file is made when there is none, or when the one there is not
 * whole. Throws DISK_FULL.
 */
export async function convertedTensors(
  { cacheDir, digest, matrices }: Conversion,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ConvertedTensor>> {
  const key = createHash('sha256').update(`${recipe}\n${digest}`).digest('hex');
  const file = path.join(cacheDir, 'converted', `${key}.safetensors`);
  const wanted = [...matrices].flatMap(([name, { shape }]) => newTensors(name, shape));
  const layout = layOut(file, wanted, { recipe, source: digest });
  const jobs = [...matrices].map(
    ([name, tensor]): Job => ({ name, tensor, ...place(name, layout) }),
  );
  if (!(await isWhole(file, layout))) {
    const write = (handle: FileHandle) =>
      writeArtifact(handle, { header: layout.header, jobs }, signal);
    await writeAtomically(file, write, signal);
  }
  return new Map(jobs.map(({ name, codes, scales }) => [name, { codes, scales }]));
}

interface Job {
  readonly name: string;
  readonly tensor: FloatTensor;
  readonly codes: FileTensor;
  readonly scales: FileTensor;
}

function newTensors(name: string, [rows = 0, columns = 0]: readonly number[]): NewTensor[] {
  const blocks = int8BlocksPerRow(columns);
  return [
    { name: `${name}.codes`, type: 'U8', shape: [rows, blocks, int8BlockSize] },
    { name: `${name}.scales`, type: 'F32', shape: [rows, blocks] },
  ];
}

function place(name: string, { tensors }: Layout): { codes: FileTensor; scales: FileTensor } {
  const find = (part: string, type: ElementType): FileTensor => {
    const stored = tensors.get(`${name}.${part}`);
    if (!stored) throw new AppError('INTERNAL', `the layout lacks "${name}.${part}"`);
    const { file, offset, length, shape } = stored;
    return { type, shape, data: { file, offset, length } };
  };
  return { codes: find('codes', 'uint8'), scales: find('scales', 'float32') };
}

async function writeArtifact(
  handle: FileHandle,
  { header, jobs }: { header: Uint8Array; jobs: readonly Job[] },
  signal: AbortSignal,
): Promise<void> {
  await writeFully(handle, header, 0);
  for (const job of jobs) await convert(handle, job, signal);
}

/** Whether `file` has the size and the very header that it must have: the header names recipe, source and layout. */
async function isWhole(file: string, layout: Layout): Promise<boolean> {
  try {
    const handle = await open(file);
    try {
      if ((await handle.stat()).size !== layout.size) return false;
      const found = Buffer.alloc(layout.header.length);
      await readFully(handle, found, 0);
      return found.equals(layout.header);
    } finally {
      await handle.close();
    }
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT')) return false;
    throw err;
  }
}

/** Reads, converts and writes a tensor some rows at a time. */
async function convert(handle: FileHandle, job: Job, signal: AbortSignal): Promise<void> {
  const { type, shape, data } = job.tensor;
  const [rows = 0, columns = 0] = shape;
  const rowBytes = columns * bytesPerNumber[type];
  const blocks = int8BlocksPerRow(columns);
  const step = Math.max(1, Math.floor(sliceBytes / rowBytes));
  const source = await open(data.file);
  try {
    for (let row = 0; row < rows; row += step) {
      signal.throwIfAborted();
      const bytes = Buffer.alloc(Math.min(step, rows - row) * rowBytes);
      const found = await readFully(source, bytes, data.offset + row * rowBytes);
      if (found < bytes.length) throw corrupt(data.file, 'it became shorter while it was read');
      const { codes, scales } = quantizeInt8(decodeFloats(bytes, type), columns);
      await writeFully(handle, codes, job.codes.data.offset + row * blocks * int8BlockSize);
      await writeFully(handle, bytesOf(scales), job.scales.data.offset + row * blocks * 4);
    }
  } finally {
    await source.close();
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
