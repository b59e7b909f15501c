// The body of a request, kept in memory so that it can be sent again.
import type { IncomingMessage } from 'node:http';
import { ClientGoneError } from '../../common/abort.ts';
import { AppError } from '../../common/errors.ts';

/**
 * The whole body; undefined when there is none. What is over the limit is read to its end and thrown away: clients that
 * still write do not read an answer. Throws BODY_TOO_LARGE, or UNSUPPORTED_MEDIA_TYPE for a compressed body, which could
 * not be bounded.
 */
export async function readBody(
  req: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const { headers } = req;
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
    return undefined;
  }
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    throw new AppError('UNSUPPORTED_MEDIA_TYPE', `reading the body: it is encoded, "${encoding}"`);
  }
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
