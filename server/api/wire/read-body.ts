// The body of a request, whatever its format, as one value: fields by name.
import express, { type Request, type RequestHandler } from 'express';
import { AppError } from '../../../common/errors.ts';
import { headerLengthHeader, mediaTypes } from '../../contract.ts';
import { tracedFor } from '../trace.ts';
import { parseJson } from './json-body.ts';
import { readOipBody } from './oip-body.ts';
import { readSafetensorsBody } from './safetensors-body.ts';
import type { BodyThreads } from './threads.ts';

export interface BodyOptions {
  maxBytes: number;
  /** A larger one is parsed by a thread. */
  maxInlineBytes: number;
  threads: Pick<BodyThreads, 'parse'>;
}

/** JSON alone; lists as `List` has them. */
export const readJsonBody = (options: BodyOptions): RequestHandler[] => [
  requireType([mediaTypes.json]),
  rawBody(options),
  replaceBody((_req, bytes) => readJson(bytes, options)),
];

/** JSON, safetensors, or the binary form of the Open Inference Protocol; lists as `List` has them. */
export const readAnyBody = (options: BodyOptions): RequestHandler[] => [
  requireType(Object.values(mediaTypes)),
  rawBody(options),
  replaceBody(async (req, bytes) => {
    if (req.is(mediaTypes.safetensors)) return readSafetensorsBody(bytes);
    if (req.is(mediaTypes.oip))
      return readInference(req.get(headerLengthHeader) ?? '', bytes, options);
    return readJson(bytes, options);
  }),
];

/** A body of the Open Inference Protocol, whatever its type says: without a header length it is JSON as a whole. */
export const readInferenceBody = (options: BodyOptions): RequestHandler[] => [
  rawBody(options),
  replaceBody((req, bytes) => {
    const length = req.get(headerLengthHeader) ?? String(bytes.byteLength);
    return readInference(length, bytes, options);
  }),
];

const readInference = (headerLength: string, bytes: Buffer, options: BodyOptions) =>
  readOipBody(bytes, headerLength, (header) => parseAnywhere(header, options));

function requireType(types: readonly string[]): RequestHandler {
  return function requireContentType(req, _res, next) {
    if (req.is([...types]) === false) {
      const given = req.get('content-type') ?? 'none';
      const message = `reading the body: content type "${given}", send ${types.join(' or ')}`;
      throw new AppError('UNSUPPORTED_MEDIA_TYPE', message);
    }
    next();
  };
}

/** Inflates gzip, deflate and br, up to the limit. */
const rawBody = ({ maxBytes }: BodyOptions) => express.raw({ type: () => true, limit: maxBytes });

function replaceBody(read: (req: Request, bytes: Buffer) => Promise<unknown>): RequestHandler {
  return async function decodeBody(req, res, next) {
    const body: unknown = req.body;
    req.body = Buffer.isBuffer(body)
      ? await tracedFor(res, 'decode', () => read(req, body), { 'refmodel.bytes': body.length })
      : undefined;
    next();
  };
}

async function readJson(bytes: Buffer, options: BodyOptions): Promise<unknown> {
  if (bytes.byteLength === 0) return undefined;
  const value = await parseAnywhere(bytes, options);
  if (typeof value === 'object' && value !== null) return value;
  throw new AppError('MALFORMED_JSON', 'reading the body: it is not a JSON object');
}

/** By a thread where it is large. Throws MALFORMED_JSON. */
const parseAnywhere = (bytes: Uint8Array, { maxInlineBytes, threads }: BodyOptions): unknown =>
  bytes.byteLength > maxInlineBytes
    ? threads.parse(new Uint8Array(bytes)) // a copy that a thread can take over
    : parseInline(bytes);

function parseInline(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('MALFORMED_JSON', `reading the body: ${message}`, { cause });
  }
}
