// An answer as bytes: its columns as they lie in memory, little-endian, behind a header in JSON.
import { headerLengthHeader, mediaTypes } from '../../contract.ts';
import { layOut } from '../../model/checkpoint/safetensors.ts';
import { type Answer, type Column, type Values } from './columns.ts';

export interface BinaryAnswer {
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: readonly Uint8Array[];
}

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Values | BigInt64Array<ArrayBuffer>;
}

/** Where the rows start comes first, as int64 [rows + 1]. */
function tensorsOf({ offsets, positions, rows }: Answer): Tensor[] {
  const starts = {
    name: 'offsets',
    shape: [offsets.length],
    values: BigInt64Array.from(offsets, BigInt),
  };
  return [...(positions.length > 0 ? [starts] : []), ...[...positions, ...rows].map(tensorOf)];
}

const tensorOf = ({ name, values, width }: Column): Tensor => ({
  name,
  values,
  shape: width === undefined ? [values.length] : [values.length / width, width],
});

const bytesOf = ({ values }: Tensor): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

const typeOf = ({ values }: Tensor): 'F32' | 'F64' | 'I32' | 'I64' => {
  if (values instanceof Float32Array) return 'F32';
  if (values instanceof Float64Array) return 'F64';
  return values instanceof Int32Array ? 'I32' : 'I64';
};

/** The rest of the answer is metadata: texts as they are, anything else as JSON. */
export function safetensorsAnswer(answer: Answer): BinaryAnswer {
  const tensors = tensorsOf(answer);
  const metadata = Object.entries(answer.rest).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, typeof value === 'string' ? value : JSON.stringify(value)]],
  );
  const named = tensors.map((tensor) => ({ ...tensor, type: typeOf(tensor) }));
  const { header } = layOut('answer', named, Object.fromEntries(metadata));
  return {
    contentType: mediaTypes.safetensors,
    headers: {},
    parts: [header, ...tensors.map(bytesOf)],
  };
}

const datatypes = { F32: 'FP32', F64: 'FP64', I32: 'INT32', I64: 'INT64' } as const;

/** The rest of the answer is in the parameters. */
export function oipAnswer(answer: Answer): BinaryAnswer {
  const tensors = tensorsOf(answer);
  const { model, revision, request_id: id, ...parameters } = answer.rest;
  const head = {
    model_name: model,
    model_version: revision,
    id,
    parameters,
    outputs: tensors.map((tensor) => ({
      name: tensor.name,
      datatype: datatypes[typeOf(tensor)],
      shape: tensor.shape,
      parameters: { binary_data_size: tensor.values.byteLength },
    })),
  };
  const header = new TextEncoder().encode(JSON.stringify(head));
  return {
    contentType: mediaTypes.oip,
    headers: { [headerLengthHeader]: String(header.byteLength) },
    parts: [header, ...tensors.map(bytesOf)],
  };
}
