// Bodies of the Open Inference Protocol with its binary extension: a JSON header, then the bytes of the inputs. Each
// input is a field, and so is each parameter.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { headerLengthHeader } from '../../contract.ts';
import { isList, type List, sliceOf } from './list.ts';
import { scalarField } from './scalar.ts';
import { toList } from './tensor.ts';

const input = z.object({
  name: z.string().max(256),
  datatype: z.string(),
  shape: z.array(z.int().min(0)).max(3),
  parameters: z.object({ binary_data_size: z.int().min(0).optional() }).optional(),
  data: z.custom<List>(isList, 'expected an array').meta({ type: 'array' }).optional(),
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

/**
 * `headerLength`: as the header of the request has it; `parse` reads the JSON, lists as `List` has them.
 * Throws MALFORMED_BODY or INVALID_REQUEST.
 */
export async function readOipBody(
  body: Uint8Array,
  headerLength: string,
  parse: (bytes: Uint8Array) => unknown,
): Promise<Record<string, unknown>> {
  const length = /^\d{1,10}$/.test(headerLength) ? Number(headerLength) : -1;
  if (length < 2 || length > body.byteLength) {
    const problem = `${headerLengthHeader} "${headerLength}", the body has ${body.byteLength} bytes`;
    throw malformed(problem);
  }
  const { id, parameters = {}, inputs } = await readHeader(body.subarray(0, length), parse);
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
    if (datatype === 'BYTES')
      return [name, readTexts(name, bytes.subarray(at - size, at))] as const;
    const type = (Object.hasOwn(types, datatype) ? types[datatype] : undefined) ?? datatype;
    return [name, toList({ name, type, shape, bytes: bytes.subarray(at - size, at) })] as const;
  });
  if (at === bytes.byteLength) return fields;
  throw malformed(`its inputs have ${at} bytes, after the header come ${bytes.byteLength}`);
}

async function readHeader(
  bytes: Uint8Array,
  parse: (bytes: Uint8Array) => unknown,
): Promise<Header> {
  let value: unknown;
  try {
    value = await parse(bytes);
  } catch (cause) {
    throw malformed('the header is not JSON', cause);
  }
  const parsed = oipHeader.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw malformed(`header, ${issue?.path.join('.')}: ${issue?.message}`);
}

/** Each text has its length before it, as uint32. */
function readTexts(name: string, bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const end = at + 4 > bytes.byteLength ? Infinity : at + 4 + view.getUint32(at, true);
    if (end > bytes.byteLength) throw malformed(`input "${name}" is cut within a text`);
    texts.push(new TextDecoder().decode(bytes.subarray(at + 4, end)));
    at = end;
  }
  return texts;
}

/** JSON data may be flat or nested. */
function nested({ name, data, shape }: Header['inputs'][number]): unknown {
  if (!data) throw malformed(`input "${name}" has neither data nor parameters.binary_data_size`);
  const [rows = 0, columns] = shape;
  if (columns === undefined || data.some(isList)) return data;
  const isEmpty = columns === 0 && rows > 0;
  if (data.length !== rows * columns || isEmpty || shape.length > 2) {
    throw malformed(`input "${name}" has ${data.length} values for shape ${shape.join(' × ')}`);
  }
  return Array.from({ length: rows }, (_, r) => sliceOf(data, r * columns, (r + 1) * columns));
}

const malformed = (problem: string, cause?: unknown) =>
  new AppError('MALFORMED_BODY', `reading the inference body: ${problem}`, { cause });
