// JSON bodies. Their long lists of numbers may be packed: so they cross from a thread without a copy.
import { isList, type List } from './list.ts';

export interface PackedBody {
  readonly value: unknown;
  /** Of the packed lists. */
  readonly buffers: readonly ArrayBuffer[];
}

/** A shorter list stays what it is. */
const minLength = 16;

/** Throws SyntaxError, also where it is nested so deep that whoever walks over it would run out of stack. */
export function parseJson(bytes: Uint8Array): unknown {
  checkDepth(bytes);
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
}

const maxDepth = 128;
const [quote, escape] = [0x22, 0x5c];
/** Of arrays and objects: how much deeper a byte leads. No byte of a longer character is among them. */
const steps = new Int8Array(256);
for (const open of '[{') steps[open.charCodeAt(0)] = 1;
for (const close of ']}') steps[close.charCodeAt(0)] = -1;

function checkDepth(bytes: Uint8Array): void {
  let [depth, isText] = [0, false];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) isText = !isText;
    else if (!isText) depth += steps[byte] ?? 0;
    else if (byte === escape) at++;
    if (depth > maxDepth) throw new SyntaxError(`it is nested more than ${maxDepth} deep`);
  }
}

interface Found {
  readonly list: readonly number[];
  readonly put: (packed: List) => void;
}

/** All lists of int32 in one buffer, and those of other numbers in a second one. `value` is changed. */
export function packNumbers(value: unknown): PackedBody {
  const found = { integers: [] as Found[], others: [] as Found[] };
  const root = { value };
  collect(value, (packed) => void (root.value = packed), found);
  const buffers = [
    packInto(found.integers, (length) => new Int32Array(length)),
    packInto(found.others, (length) => new Float64Array(length)),
  ];
  return { value: root.value, buffers: buffers.filter((buffer) => buffer.byteLength > 0) };
}

function collect(value: unknown, put: Found['put'], found: Record<'integers' | 'others', Found[]>) {
  if (Array.isArray(value)) {
    if (value.length >= minLength && value.every(isNumber)) {
      (value.every(isInt32) ? found.integers : found.others).push({ list: value, put });
      return;
    }
    for (const [i, item] of value.entries()) {
      if (isList(item)) collect(item, (packed) => void (value[i] = packed), found);
      else if (isObject(item)) collect(item, () => {}, found);
    }
  } else if (isObject(value)) {
    for (const [name, item] of Object.entries(value)) {
      collect(item, (packed) => void (value[name] = packed), found);
    }
  }
}

const isNumber = (value: unknown): value is number => typeof value === 'number';
const isInt32 = (value: number): boolean => (value | 0) === value && !Object.is(value, -0);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function packInto(
  lists: readonly Found[],
  allocate: (length: number) => Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer>,
): ArrayBuffer {
  const all = allocate(lists.reduce((sum, { list }) => sum + list.length, 0));
  let at = 0;
  for (const { list, put } of lists) {
    all.set(list, at);
    put(all.subarray(at, at + list.length));
    at += list.length;
  }
  return all.buffer;
}
