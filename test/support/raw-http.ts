// Requests as bytes, for what no HTTP client would send.
import { connect } from 'node:net';

export interface RawAnswer {
  status: number;
  headers: string;
  body: string;
}

/**
 * Sends the bytes over one connection and reads until the server closes it, or has nothing more to say.
 * One answer for each status line, in order; none where the server just closed.
 */
export async function sendRaw(port: number, bytes: string | Buffer): Promise<RawAnswer[]> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve) => {
    socket.setTimeout(1000, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => {}); // a server may reset what it does not want
    socket.once('close', () => resolve());
    socket.write(bytes);
  });
  return Buffer.concat(chunks)
    .toString('latin1')
    .split(/(?=HTTP\/1\.1 \d{3} )/)
    .filter((text) => text.startsWith('HTTP/1.1 '))
    .map((text) => {
      const end = text.indexOf('\r\n\r\n');
      return {
        status: Number(text.slice(9, 12)),
        headers: text.slice(0, end),
        body: text.slice(end + 4),
      };
    });
}

/** A request with these header lines; `Content-Length` is added when there is a body and nothing says how long it is. */
export function rawRequest(line: string, headers: readonly string[], body = ''): string {
  const isFramed = headers.some((header) => /^(content-length|transfer-encoding)/i.test(header));
  const length = body && !isFramed ? [`Content-Length: ${Buffer.byteLength(body)}`] : [];
  return [`${line} HTTP/1.1`, ...headers, ...length, '', body].join('\r\n');
}
