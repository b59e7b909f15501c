// The name of the model in the body of a request, whatever its format. Pure. What is scored is left to the pod.
import type { IncomingHttpHeaders } from 'node:http';
import { AppError } from '../../common/errors.ts';
import { headerLengthHeader, mediaTypes } from '../../server/contract.ts';
import { modelInJson } from './model-in-json.ts';

/**
 * The top-level `model`, when there is one that is a text: of JSON, of the metadata of safetensors, of the parameters of
 * the Open Inference Protocol. Throws MALFORMED_JSON or MALFORMED_BODY.
 */
export function modelInBody(
  body: Buffer | undefined,
  headers: IncomingHttpHeaders,
): string | undefined {
  if (!body || body.length === 0) return undefined;
  const [type = ''] = (headers['content-type'] ?? '').toLowerCase().split(';');
  const headerLength = headers[headerLengthHeader];
  if (type.trim() === mediaTypes.safetensors) {
    return modelOf(readHeader(body, safetensorsHeader(body)), '__metadata__');
  }
  if (typeof headerLength === 'string') {
    return modelOf(readHeader(body, { start: 0, end: Number(headerLength) }), 'parameters');
  }
  return modelInJson(body);
}

/** `value[part].model` */
function modelOf(value: unknown, part: string): string | undefined {
  const fields = fieldOf(value, part);
  const model = fieldOf(fields, 'model');
  return typeof model === 'string' ? model : undefined;
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;

const prefixBytes = 8;

/** Its length stands before it, as uint64. */
function safetensorsHeader(body: Buffer) {
  const length = body.length < prefixBytes ? Number.NaN : Number(body.readBigUInt64LE());
  return { start: prefixBytes, end: prefixBytes + length };
}

function readHeader(body: Buffer, { start, end }: { start: number; end: number }): unknown {
  try {
    if (end > start && end <= body.length) return JSON.parse(body.toString('utf8', start, end));
  } catch (cause) {
    throw malformed(cause);
  }
  throw malformed();
}

const malformed = (cause?: unknown) =>
  new AppError('MALFORMED_BODY', 'finding the model: the header of the body is not JSON', {
    cause,
  });
