// Bodies in the safetensors format: each tensor is a field, and each entry of the metadata is another.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { scalarField } from './scalar.ts';
import { toList } from './tensor.ts';

const prefixBytes = 8;
const maxHeaderBytes = 1 << 20;

const natural = z.int().min(0);
const entry = z.object({
  dtype: z.string(),
  shape: z.array(natural).max(3),
  data_offsets: z.tuple([natural, natural]),
});
const header = z.record(z.string(), z.unknown());
const metadata = z.record(z.string(), z.string());

/** Throws MALFORMED_BODY or INVALID_REQUEST. */
export function readSafetensorsBody(body: Uint8Array): Record<string, unknown> {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const length = body.byteLength < prefixBytes ? -1 : Number(view.getBigUint64(0, true));
  const start = prefixBytes + length;
  if (length < 2 || length > maxHeaderBytes || start > body.byteLength) {
    throw malformed(`a header of ${length} bytes does not fit a body of ${body.byteLength}`);
  }
  const data = body.subarray(start);
  const fields: [string, unknown][] = [];
  for (const [name, value] of Object.entries(readHeader(body.subarray(prefixBytes, start)))) {
    if (name === '__metadata__') fields.push(...readMetadata(value));
    else fields.push([name, readTensor(name, value, data)]);
  }
  return Object.fromEntries(fields);
}

function readHeader(bytes: Uint8Array): Record<string, unknown> {
  try {
    return header.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw malformed('the header is not a JSON object', cause);
  }
}

function readMetadata(value: unknown): [string, unknown][] {
  const parsed = metadata.safeParse(value);
  if (!parsed.success) throw malformed('__metadata__ is not a map of texts');
  return Object.entries(parsed.data).map(([name, text]) => [name, scalarField(name, text)]);
}

function readTensor(name: string, value: unknown, data: Uint8Array) {
  const parsed = entry.safeParse(value);
  if (!parsed.success)
    throw malformed(`tensor "${name}" has no valid dtype, shape and data_offsets`);
  const { dtype: type, shape, data_offsets: offsets } = parsed.data;
  const [from, to] = offsets;
  if (from > to || to > data.byteLength) {
    throw malformed(`tensor "${name}" ends at byte ${to} of ${data.byteLength}`);
  }
  return toList({ name, type, shape, bytes: data.subarray(from, to) });
}

const malformed = (problem: string, cause?: unknown) =>
  new AppError('MALFORMED_BODY', `reading the safetensors body: ${problem}`, { cause });
