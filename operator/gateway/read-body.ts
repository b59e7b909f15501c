// The body of a request, kept in memory so that it can be sent again.
import type { IncomingMessage } from 'node:http';
import { ClientGoneError } from '../../common/abort.ts';
import { AppError } from '../../common/errors.ts';
import { codingOf } from './coded-body.ts';

/**
 * The whole body, in the coding that it came in; undefined when there is none. What is over the limit is read to its end
 * and thrown away: clients that still write do not read an answer. Throws BODY_TOO_LARGE, or UNSUPPORTED_MEDIA_TYPE.
 */
export async function readBody(
  req: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const { headers } = req;
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
    return undefined;
  }
  codingOf(headers);
  const chunks: Buffer[] = [];
  const bytes = await readChunks(req, (chunk, total) => {
    if (total <= maxBytes) chunks.push(chunk);
    else chunks.length = 0;
  });
  if (bytes > maxBytes) {
    const message = `reading the body: ${bytes} bytes, the limit is ${maxBytes}`;
    throw new AppError('BODY_TOO_LARGE', message);
  }
  const [only] = chunks;
  return only && chunks.length === 1 ? only : Buffer.concat(chunks, bytes);
}

/** Number of bytes in all. `take` gets each chunk and the number so far. */
function readChunks(
  req: IncomingMessage,
  take: (chunk: Buffer, total: number) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let total = 0;
    req.on('data', (chunk: Buffer) => {
      total += chunk.length;
      take(chunk, total);
    });
    req.once('end', () => resolve(total));
    req.once('error', (cause) => reject(new ClientGoneError('the client left', { cause })));
  });
}
