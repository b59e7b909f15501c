// Scales in bfloat16, the upper half of a float32. Pure number code.

/** One number as float32 and as its bits. */
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/**
 * The bits of the nearest bfloat16 that is not smaller in magnitude. A scale is rounded so before codes are made for
 * it: the largest weight of its block then still fits.
 */
export function bfloat16Above(value: number): number {
  float[0] = value;
  return ((bits[0] ?? 0) + 0xffff) >>> 16;
}

export function bfloat16Value(half: number): number {
  bits[0] = half << 16;
  return float[0] ?? 0;
}
