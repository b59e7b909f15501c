// An answer in the format and the coding that the client asks for.
import { once } from 'node:events';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import type { Request, Response } from 'express';
import { mediaTypes } from '../../contract.ts';
import { tracedFor } from '../trace.ts';
import type { BodyThreads } from '../wire/threads.ts';
import { type BinaryAnswer, oipAnswer, safetensorsAnswer } from './binary.ts';
import { type Answer, countValues } from './columns.ts';
import { isShort, jsonText, shortText } from './json.ts';

/** Node.js has it from 22.15 on. */
const createZstd: unknown = Reflect.get(zlib, 'createZstdCompress');

type Format = keyof typeof mediaTypes;

/** A shorter text is sent as it is. */
const minCompressedValues = 256;

interface Sending {
  readonly answer: Answer;
  readonly threads: BodyThreads;
  readonly signal: AbortSignal;
}

/** Rejects with the signal's reason when it fires. */
export const sendAnswer = (req: Request, res: Response, sending: Sending): Promise<void> =>
  tracedFor(res, 'encode', () => send(req, res, sending));

async function send(
  req: Request,
  res: Response,
  { answer, threads, signal }: Sending,
): Promise<void> {
  const format = formatFor(req);
  res.vary('accept');
  if (format === 'safetensors') return sendBinary(res, safetensorsAnswer(answer), signal);
  if (format === 'oip') return sendBinary(res, oipAnswer(answer), signal);
  res.type(mediaTypes.json);
  const compressor =
    countValues(answer) < minCompressedValues ? undefined : compressorFor(req, res);
  if (!compressor && isShort(answer)) {
    res.end(shortText(answer));
    return;
  }
  const text = jsonText(answer, threads);
  try {
    await (compressor
      ? pipeline(text, compressor, res, { signal })
      : pipeline(text, res, { signal }));
  } catch (err) {
    signal.throwIfAborted();
    throw err;
  }
}

const formats: readonly Format[] = ['json', 'safetensors', 'oip'];

/** That of Accept; without a preference that of the request. */
function formatFor(req: Request): Format {
  const sent = formats.find((format) => req.is(mediaTypes[format])) ?? 'json';
  const order = [sent, ...formats.filter((other) => other !== sent)];
  const accepted = req.accepts(order.map((format) => mediaTypes[format]));
  return order.find((format) => mediaTypes[format] === accepted) ?? 'json';
}

/** Level 1: a network inside a cluster is faster than the levels above it. Numbers in binary hardly shrink. */
const compressors: Readonly<Record<string, () => unknown>> = {
  ...(typeof createZstd === 'function' && { zstd: () => Reflect.apply(createZstd, zlib, []) }),
  gzip: () => zlib.createGzip({ level: 1 }),
};

function compressorFor(req: Request, res: Response): Transform | undefined {
  res.vary('accept-encoding');
  const coding = req.acceptsEncodings([...Object.keys(compressors), 'identity']);
  const compressor = typeof coding === 'string' ? compressors[coding]?.() : undefined;
  if (!(compressor instanceof Transform)) return undefined;
  res.setHeader('content-encoding', String(coding));
  return compressor;
}

async function sendBinary(
  res: Response,
  { contentType, headers, parts }: BinaryAnswer,
  signal: AbortSignal,
): Promise<void> {
  res.setHeader('content-type', contentType);
  res.setHeader(
    'content-length',
    parts.reduce((sum, { byteLength }) => sum + byteLength, 0),
  );
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  for (const part of parts) {
    signal.throwIfAborted();
    if (!res.write(part)) await once(res, 'drain', { signal });
  }
  res.end();
}
