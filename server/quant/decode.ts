// Numbers of the checkpoint as float32: IEEE 754 single and half, and bfloat16. Little-endian, no I/O.

export type FloatType = 'float32' | 'float16' | 'bfloat16';

export const bytesPerNumber: Readonly<Record<FloatType, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
};

/** `bytes` [n · size of type] → float32 [n]. All three types fit in float32 without rounding. */
export function decodeFloats(bytes: Uint8Array, type: FloatType): Float32Array {
  const count = bytes.byteLength / bytesPerNumber[type];
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset } = aligned;
  if (type === 'float32') return new Float32Array(buffer, byteOffset, count);
  const halves = new Uint16Array(buffer, byteOffset, count);
  return type === 'bfloat16' ? fromBfloat16(halves) : fromFloat16(halves);
}

/** bfloat16 is the upper half of a float32. */
function fromBfloat16(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] ?? 0) << 16;
  return new Float32Array(bits.buffer);
}

function fromFloat16(halves: Uint16Array): Float32Array {
  const floats = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) floats[i] = float16Value(halves[i] ?? 0);
  return floats;
}

/** 1 bit sign, 5 bits exponent with bias 15, 10 bits fraction. */
function float16Value(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
