// An answer in the format and the coding that the client asks for.
import { once } from 'node:events';
import type { Request, Response } from 'express';
import { mediaTypes } from '../../contract.ts';
import { tracedFor } from '../trace.ts';
import type { BodyThreads } from '../wire/threads.ts';
import { type BinaryAnswer, oipAnswer, safetensorsAnswer } from './binary.ts';
import { compressorFor, pipeText } from './coding.ts';
import { type Answer, countValues } from './columns.ts';
import { isShort, jsonText, shortText } from './json.ts';

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
  const compressor = countValues(answer) < minCompressedValues ? undefined : compressorFor(res);
  if (!compressor && isShort(answer)) {
    res.end(shortText(answer));
    return;
  }
  await pipeText(jsonText(answer, threads), compressor, res, signal);
}

const formats: readonly Format[] = ['json', 'safetensors', 'oip'];

/** That of Accept; without a preference that of the request. */
function formatFor(req: Request): Format {
  const sent = formats.find((format) => req.is(mediaTypes[format])) ?? 'json';
  const order = [sent, ...formats.filter((other) => other !== sent)];
  const accepted = req.accepts(order.map((format) => mediaTypes[format]));
  return order.find((format) => mediaTypes[format] === accepted) ?? 'json';
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
