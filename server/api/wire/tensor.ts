// Tensors of binary bodies: little-endian bytes to lists, by the names that safetensors gives their types.
import { AppError } from '../../../common/errors.ts';
import type { List } from './list.ts';

type Numbers = Int32Array | Float32Array | Float64Array;
type Reader = (bytes: ArrayBuffer) => Numbers;

/** Types that a body may have, with the bytes of a number. */
const readers: Readonly<Record<string, { size: number; read: Reader } | undefined>> = {
  I64: { size: 8, read: (bytes) => narrow(new BigInt64Array(bytes)) },
  U64: { size: 8, read: (bytes) => narrow(new BigUint64Array(bytes)) },
  I32: { size: 4, read: (bytes) => new Int32Array(bytes) },
  U32: { size: 4, read: (bytes) => Float64Array.from(new Uint32Array(bytes)) },
  I16: { size: 2, read: (bytes) => Int32Array.from(new Int16Array(bytes)) },
  U16: { size: 2, read: (bytes) => Int32Array.from(new Uint16Array(bytes)) },
  I8: { size: 1, read: (bytes) => Int32Array.from(new Int8Array(bytes)) },
  U8: { size: 1, read: (bytes) => Int32Array.from(new Uint8Array(bytes)) },
  BOOL: { size: 1, read: (bytes) => Int32Array.from(new Uint8Array(bytes)) },
  F32: { size: 4, read: (bytes) => new Float32Array(bytes) },
  F64: { size: 8, read: (bytes) => new Float64Array(bytes) },
};

export interface TensorBytes {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Numbers that tensor `name` has, by its shape. */
export const countNumbers = (shape: readonly number[]): number =>
  shape.reduce((product, dimension) => product * dimension, 1);

/** A list of one dimension, or a list of lists. Throws INVALID_REQUEST naming the tensor. */
export function toList({ name, type, shape, bytes }: TensorBytes): List {
  const reader = Object.hasOwn(readers, type) ? readers[type] : undefined;
  if (!reader) {
    throw invalid(name, `type "${type}" is not read, send ${Object.keys(readers).join(', ')}`);
  }
  const expected = countNumbers(shape) * reader.size;
  if (expected !== bytes.byteLength) {
    throw invalid(name, `it has ${bytes.byteLength} bytes, its shape takes ${expected}`);
  }
  if (shape.length === 0 || shape.length > 3) {
    throw invalid(name, `it has ${shape.length} dimensions, send 1 to 3`);
  }
  checkLists(name, shape);
  const copy = new ArrayBuffer(bytes.byteLength); // aligned
  new Uint8Array(copy).set(bytes);
  return nest(reader.read(copy), shape);
}

/** The most lists that a tensor may become: each takes far more room than the number that it may have. */
const maxLists = 1 << 20;

/** A shape of few bytes may say much: 2^40 rows without a number take none. */
function checkLists(name: string, shape: readonly number[]): void {
  const lists = shape.length === 1 ? 0 : countNumbers(shape.slice(0, -1));
  if (lists > maxLists) throw invalid(name, `${lists} rows, the limit is ${maxLists}`);
  if (lists > 0 && countNumbers(shape) === 0) throw invalid(name, 'its rows have no number');
}

function nest(numbers: Numbers, [first = 0, ...rest]: readonly number[]): List {
  if (rest.length === 0) return numbers;
  const length = countNumbers(rest);
  return Array.from({ length: first }, (_, i) =>
    nest(numbers.subarray(i * length, (i + 1) * length), rest),
  );
}

/** int32 where all of them are. */
function narrow(wide: BigInt64Array | BigUint64Array): Int32Array | Float64Array {
  const all = Float64Array.from(wide, Number);
  const narrowed = Int32Array.from(all);
  return narrowed.every((value, i) => value === all[i]) ? narrowed : all;
}

const invalid = (name: string, problem: string) =>
  new AppError('INVALID_REQUEST', `reading tensor "${name}": ${problem}`);
