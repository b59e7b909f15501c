// Bodies of the Open Inference Protocol with its binary extension: a JSON header, then the bytes of the inputs. Each
// input is a field, and so is each parameter.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { scalarField } from './scalar.ts';
import { toList } from './tensor.ts';

/** Bytes of the JSON header. */
export const headerLengthHeader = 'inference-header-content-length';

const input = z.object({
  name: z.string().max(256),
  datatype: z.string(),
  shape: z.array(z.int().min(0)).max(3),
  parameters: z.object({ binary_data_size: z.int().min(0).optional() }).optional(),
  data: z.array(z.unknown()).optional(),
});
/** In JSON it is the whole body. */
export const oipHeader = z.object({
  id: z.string().optional(),
  parameters: z.record(z.string(), z.unknown()).optional(),
  inputs: z.array(input).max(64),
});

/** By the names of safetensors. */
const types: Readonly<Record<string, string | undefined>> = {
  BOOL: 'BOOL',
  UINT8: 'U8',
  UINT16: 'U16',
  UINT32: 'U32',
  UINT64: 'U64',
  INT8: 'I8',
  INT16: 'I16',
  INT32: 'I32',
  INT64: 'I64',
  FP32: 'F32',
  FP64: 'F64',
};

/** `headerLength`: as the header of the request has it. Throws MALFORMED_BODY or INVALID_REQUEST. */
export function readOipBody(body: Uint8Array, headerLength: string): Record<string, unknown> {
  const length = /^\d{1,10}$/.test(headerLength) ? Number(headerLength) : -1;
  if (length < 2 || length > body.byteLength) {
    const problem = `${headerLengthHeader} "${headerLength}", the body has ${body.byteLength} bytes`;
    throw malformed(problem);
  }
  const { id, parameters = {}, inputs } = readHeader(body.subarray(0, length));
  return Object.fromEntries([
    ...(id === undefined ? [] : [['request_id', id] as const]),
    ...readParameters(parameters),
    ...readInputs(inputs, body.subarray(length)),
  ]);
}

type Header = z.output<typeof oipHeader>;

/** Those about the form of the answer are passed over: its form is that of Accept. */
const readParameters = (parameters: NonNullable<Header['parameters']>) =>
  Object.entries(parameters)
    .filter(([name]) => !name.startsWith('binary_data'))
    .map(([name, value]) => {
      return [name, typeof value === 'string' ? scalarField(name, value) : value] as const;
    });

function readInputs(inputs: Header['inputs'], bytes: Uint8Array): (readonly [string, unknown])[] {
  let at = 0;
  const fields = inputs.map((input) => {
    const size = input.parameters?.binary_data_size;
    if (size === undefined) return [input.name, nested(input)] as const;
    at += size;
    const { name, datatype, shape } = input;
    const type = (Object.hasOwn(types, datatype) ? types[datatype] : undefined) ?? datatype;
    return [name, toList({ name, type, shape, bytes: bytes.subarray(at - size, at) })] as const;
  });
  if (at === bytes.byteLength) return fields;
  throw malformed(`its inputs have ${at} bytes, after the header come ${bytes.byteLength}`);
}

function readHeader(bytes: Uint8Array): z.output<typeof oipHeader> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw malformed('the header is not JSON', cause);
  }
  const parsed = oipHeader.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw malformed(`header, ${issue?.path.join('.')}: ${issue?.message}`);
}

/** JSON data may be flat or nested. */
function nested({ name, data, shape }: Header['inputs'][number]): unknown {
  if (!data) throw malformed(`input "${name}" has neither data nor parameters.binary_data_size`);
  const [rows = 0, columns] = shape;
  if (columns === undefined || data.some(Array.isArray)) return data;
  if (data.length !== rows * columns || shape.length > 2) {
    throw malformed(`input "${name}" has ${data.length} values for shape ${shape.join(' × ')}`);
  }
  return Array.from({ length: rows }, (_, r) => data.slice(r * columns, (r + 1) * columns));
}

const malformed = (problem: string, cause?: unknown) =>
  new AppError('MALFORMED_BODY', `reading the inference body: ${problem}`, { cause });
