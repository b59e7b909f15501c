// The wire format of Protocol Buffers, as far as ONNX needs it. Knows fields and bytes, no message.
// Source: protobuf.dev/programming-guides/encoding

const text = new TextEncoder();

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** An integer of 64 bits, in groups of 7 from the low end; a negative one takes its ten bytes. */
export function varint(value: number): Uint8Array {
  if (!Number.isSafeInteger(value)) throw new RangeError(`not an integer: ${value}`);
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

const tag = (field: number, wireType: 0 | 2 | 5): Uint8Array => varint((field << 3) | wireType);

export const intField = (field: number, value: number): Uint8Array =>
  concat([tag(field, 0), varint(value)]);

export function floatField(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concat([tag(field, 5), bytes]);
}

export const bytesField = (field: number, value: Uint8Array): Uint8Array =>
  concat([tag(field, 2), varint(value.length), value]);

export const stringField = (field: number, value: string): Uint8Array =>
  bytesField(field, text.encode(value));

export const messageField = (field: number, ...parts: Uint8Array[]): Uint8Array =>
  bytesField(field, concat(parts));
