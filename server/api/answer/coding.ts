// Texts in the content coding that the client asks for.
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import type { Response } from 'express';

/** Node.js has it from 22.15 on. */
const createZstd: unknown = Reflect.get(zlib, 'createZstdCompress');

/** Level 1: a network inside a cluster is faster than the levels above it. Numbers in binary hardly shrink. */
const compressors: Readonly<Record<string, () => unknown>> = {
  ...(typeof createZstd === 'function' && { zstd: () => Reflect.apply(createZstd, zlib, []) }),
  gzip: () => zlib.createGzip({ level: 1 }),
};

/** What the text of the answer is to go through; its headers are set. Undefined: it goes as it is. */
export function compressorFor(res: Response): Transform | undefined {
  res.vary('accept-encoding');
  const coding = res.req.acceptsEncodings([...Object.keys(compressors), 'identity']);
  const compressor = typeof coding === 'string' ? compressors[coding]?.() : undefined;
  if (!(compressor instanceof Transform)) return undefined;
  res.setHeader('content-encoding', String(coding));
  return compressor;
}

/** Writes the text as it is made, at the pace of its reader. Rejects with the signal's reason when it fires. */
export async function pipeText(
  text: AsyncIterable<string | Uint8Array>,
  compressor: Transform | undefined,
  res: Response,
  signal: AbortSignal,
): Promise<void> {
  try {
    await (compressor
      ? pipeline(text, compressor, res, { signal })
      : pipeline(text, res, { signal }));
  } catch (err) {
    signal.throwIfAborted();
    throw err;
  }
}
