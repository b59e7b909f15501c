// What stands in a body where JSON has an array. Numbers that came in binary, or in a large body, are packed.

export type List = readonly unknown[] | Int32Array | Float32Array | Float64Array;

export const isList = (value: unknown): value is List =>
  Array.isArray(value) ||
  value instanceof Int32Array ||
  value instanceof Float32Array ||
  value instanceof Float64Array;

/** Part of a list; of a packed one without a copy. */
export const sliceOf = (list: List, start: number, end: number): List =>
  Array.isArray(list)
    ? list.slice(start, end)
    : ArrayBuffer.isView(list)
      ? list.subarray(start, end)
      : list;
