// Bodies in binary, as their clients write them.

export interface BodyTensor {
  name: string;
  /** By the names of safetensors. */
  type: 'I32' | 'I64' | 'F32';
  shape: number[];
  values: Int32Array | BigInt64Array | Float32Array;
}

export const int32Tensor = (
  name: string,
  shape: number[],
  values: Iterable<number>,
): BodyTensor => ({
  name,
  type: 'I32',
  shape,
  values: Int32Array.from(values),
});

const bytesOf = ({ values }: BodyTensor) =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength);

export function safetensorsBody(
  tensors: BodyTensor[],
  metadata: Record<string, string> = {},
): Buffer {
  let at = 0;
  const entries = tensors.map((tensor) => {
    const from = at;
    at += tensor.values.byteLength;
    return [tensor.name, { dtype: tensor.type, shape: tensor.shape, data_offsets: [from, at] }];
  });
  const header = Buffer.from(
    JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, ...tensors.map(bytesOf)]);
}

const datatypes = { I32: 'INT32', I64: 'INT64', F32: 'FP32' } as const;

export function oipBody(tensors: BodyTensor[], parameters: Record<string, unknown> = {}) {
  const inputs = tensors.map(({ name, type, shape, values }) => ({
    name,
    datatype: datatypes[type],
    shape,
    parameters: { binary_data_size: values.byteLength },
  }));
  const header = Buffer.from(JSON.stringify({ parameters, inputs }));
  return {
    body: Buffer.concat([header, ...tensors.map(bytesOf)]),
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(header.length),
    },
  };
}

/** What stands in an answer in safetensors. */
export function readSafetensors(bytes: Buffer): {
  metadata: Record<string, string>;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read answers freely
  tensors: any;
} {
  const length = Number(bytes.readBigUInt64LE());
  const { __metadata__: metadata, ...entries } = JSON.parse(bytes.toString('utf8', 8, 8 + length));
  const tensors = Object.entries(entries).map(([name, value]) => {
    const { dtype, shape, data_offsets } = value as {
      dtype: string;
      shape: number[];
      data_offsets: [number, number];
    };
    const [from, to] = data_offsets.map((offset) => 8 + length + offset);
    return [
      name,
      { shape, values: numbersOf(dtype, Uint8Array.from(bytes.subarray(from, to)).buffer) },
    ] as const;
  });
  return { metadata, tensors: Object.fromEntries(tensors) };
}

export function readOip(bytes: Buffer, headerLength: number) {
  const header = JSON.parse(bytes.toString('utf8', 0, headerLength));
  let at = headerLength;
  const tensors = header.outputs.map(
    (output: {
      name: string;
      datatype: string;
      shape: number[];
      parameters: { binary_data_size: number };
    }) => {
      const size = output.parameters.binary_data_size;
      const buffer = Uint8Array.from(bytes.subarray(at, at + size)).buffer;
      at += size;
      return [output.name, { shape: output.shape, values: numbersOf(output.datatype, buffer) }];
    },
  );
  return { header, tensors: Object.fromEntries(tensors) };
}

/** The tensors of an answer as a client has them that does not look into them; `metadata` stays unread. */
export function viewTensors(bytes: Buffer, headerLength: number, start: number): Uint8Array[] {
  const header = JSON.parse(bytes.toString('utf8', start, start + headerLength));
  const sizes: number[] =
    header.outputs?.map(
      (output: { parameters: { binary_data_size: number } }) => output.parameters.binary_data_size,
    ) ??
    Object.entries(header).flatMap(([name, value]) => {
      if (name === '__metadata__') return [];
      const [from, to] = (value as { data_offsets: [number, number] }).data_offsets;
      return [to - from];
    });
  let at = start + headerLength;
  return sizes.map((size) => {
    at += size;
    return Uint8Array.prototype.slice.call(bytes, at - size, at); // aligned: any typed array goes over it
  });
}

function numbersOf(type: string, buffer: ArrayBuffer): number[] {
  if (type === 'F32' || type === 'FP32') return [...new Float32Array(buffer)];
  if (type === 'F64' || type === 'FP64') return [...new Float64Array(buffer)];
  if (type === 'I32' || type === 'INT32') return [...new Int32Array(buffer)];
  return Array.from(new BigInt64Array(buffer), Number);
}
