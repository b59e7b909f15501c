// The safetensors format: 8 bytes header length, JSON header, tensors without gaps. Knows bytes, not models.
// Source: github.com/huggingface/safetensors, README "Format"
import { open } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { readFully } from '../disk.ts';

const headerBytesMax = 100_000_000;
const prefixBytes = 8;

const bitsPerNumber = {
  F64: 64,
  F32: 32,
  F16: 16,
  BF16: 16,
  I64: 64,
  I32: 32,
  I16: 16,
  I8: 8,
  U64: 64,
  U32: 32,
  U16: 16,
  U8: 8,
  BOOL: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
} as const;
export type SafetensorsType = keyof typeof bitsPerNumber;

export interface StoredTensor {
  readonly type: SafetensorsType;
  readonly shape: readonly number[];
  /** Absolute path. */
  readonly file: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly length: number;
}

const isType = (value: unknown): boolean =>
  typeof value === 'string' && Object.hasOwn(bitsPerNumber, value);
const natural = z.int().min(0);
const entry = z.object({
  dtype: z.custom<SafetensorsType>(isType, 'unknown type'),
  shape: z.array(natural).max(16),
  data_offsets: z.tuple([natural, natural]),
});
const header = z.record(z.string(), z.unknown());

/** The tensors of `file`. Throws WEIGHTS_CORRUPT naming the file when it is cut short or inconsistent. */
export async function readSafetensors(
  file: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, StoredTensor>> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const prefix = Buffer.alloc(prefixBytes);
    await readFully(handle, prefix, 0);
    const length = size < prefixBytes ? -1 : Number(prefix.readBigUInt64LE());
    if (length < 2 || length > Math.min(headerBytesMax, size - prefixBytes)) {
      throw corrupt(file, `the header length ${length} does not fit a file of ${size} bytes`);
    }
    signal.throwIfAborted();
    const text = Buffer.alloc(length);
    await readFully(handle, text, prefixBytes);
    return parseHeader(file, text.toString('utf8'), { start: prefixBytes + length, size });
  } finally {
    await handle.close();
  }
}

/** `data`: where the tensors start and the file ends, in bytes. */
function parseHeader(
  file: string,
  text: string,
  data: { start: number; size: number },
): ReadonlyMap<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, value] of Object.entries(parseJson(file, text))) {
    if (name !== '__metadata__') tensors.set(name, parseEntry(file, name, value, data.start));
  }
  // JSON.parse keeps the last of two equal keys; inside a JSON string the quotes would be escaped.
  if (text.split('"data_offsets"').length - 1 > tensors.size) {
    throw corrupt(file, 'the header names a tensor twice');
  }
  assertNoGaps(file, tensors, data);
  return tensors;
}

function parseJson(file: string, text: string): Record<string, unknown> {
  try {
    return header.parse(JSON.parse(text));
  } catch (err: unknown) {
    throw corrupt(file, 'the header is not a JSON object', err);
  }
}

function parseEntry(file: string, name: string, value: unknown, start: number): StoredTensor {
  const parsed = entry.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw corrupt(file, `tensor "${name}", ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { dtype, shape, data_offsets: offsets } = parsed.data;
  const length = offsets[1] - offsets[0];
  const expected = (shape.reduce((product, dim) => product * dim, 1) * bitsPerNumber[dtype]) / 8;
  if (length !== expected) {
    throw corrupt(file, `tensor "${name}" has ${length} bytes, its shape takes ${expected}`);
  }
  return { type: dtype, shape, file, offset: start + offsets[0], length };
}

/** Tensors must follow each other and end where the file ends: no overlap, no gap, nothing cut off. */
function assertNoGaps(
  file: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  { start, size }: { start: number; size: number },
): void {
  const sorted = [...tensors].sort(([, a], [, b]) => a.offset - b.offset || a.length - b.length);
  let end = start;
  for (const [name, { offset, length }] of sorted) {
    if (offset !== end) throw corrupt(file, `tensor "${name}" overlaps another or leaves a gap`);
    end += length;
  }
  if (end !== size) throw corrupt(file, `it has ${size} bytes, its header speaks of ${end}`);
}

export function corrupt(file: string, problem: string, cause?: unknown): AppError {
  return new AppError('WEIGHTS_CORRUPT', `reading ${file}: ${problem}`, { cause });
}

export interface NewTensor {
  readonly name: string;
  readonly type: SafetensorsType;
  readonly shape: readonly number[];
}

export interface Layout {
  /** Everything before the first tensor. */
  readonly header: Uint8Array;
  /** Bytes of the whole file. */
  readonly size: number;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** Where each tensor of a new file goes. The first starts at a multiple of 64 bytes. */
export function layOut(
  file: string,
  tensors: readonly NewTensor[],
  metadata: Readonly<Record<string, string>>,
): Layout {
  let end = 0;
  const placed = tensors.map(({ name, type, shape }) => {
    const length = (shape.reduce((product, dim) => product * dim, 1) * bitsPerNumber[type]) / 8;
    const offset = end;
    end += length;
    return { name, type, shape, offset, length };
  });
  const entries = placed.map(({ name, type, shape, offset, length }) => {
    return [name, { dtype: type, shape, data_offsets: [offset, offset + length] }] as const;
  });
  const text = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) });
  const start = Math.ceil((prefixBytes + Buffer.byteLength(text)) / 64) * 64;
  const bytes = Buffer.alloc(start, ' ');
  bytes.writeBigUInt64LE(BigInt(start - prefixBytes));
  bytes.write(text, prefixBytes);
  const stored = placed.map(({ name, type, shape, offset, length }) => {
    return [name, { type, shape, file, offset: start + offset, length }] as const;
  });
  return { header: bytes, size: start + end, tensors: new Map(stored) };
}
