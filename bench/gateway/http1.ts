// As much of HTTP/1.1 as the measurement's own ends need, on bare sockets: they share the machine with what is measured,
// and would else take more of it. Messages have a content-length and come one after another on a connection.
import type { Socket } from 'node:net';

export interface Message {
  /** When its first byte was here. Milliseconds of `performance.now()`. */
  readonly at: number;
  /** Its first line and its headers. */
  readonly head: string;
}

const separator = '\r\n\r\n';

/** Calls back for each message when all of it is here. */
export function readMessages(socket: Socket, onMessage: (message: Message) => void): void {
  let begun: Buffer = Buffer.alloc(0); // a head that is not complete
  let message: Message | undefined;
  let at = 0;
  let missing = 0;
  socket.on('data', (data) => {
    let rest: Buffer = data;
    while (rest.length > 0) {
      if (!message) {
        if (begun.length === 0) at = performance.now();
        begun = begun.length === 0 ? rest : Buffer.concat([begun, rest]);
        const end = begun.indexOf(separator);
        if (end < 0) return;
        message = { at, head: begun.toString('latin1', 0, end) };
        missing = Number(/\r\ncontent-length: *(\d+)/i.exec(message.head)?.[1] ?? 0);
        rest = begun.subarray(end + separator.length);
        begun = Buffer.alloc(0);
      }
      const taken = Math.min(missing, rest.length);
      missing -= taken;
      rest = rest.subarray(taken);
      if (missing > 0) return;
      const whole = message;
      message = undefined;
      onMessage(whole);
    }
  });
}

/** A message of the given first line, ready to be written. */
export function messageOf(firstLine: string, headers: readonly string[], body: Buffer): Buffer {
  const lines = [firstLine, ...headers, `content-length: ${body.length}`];
  return Buffer.concat([Buffer.from(lines.join('\r\n') + separator), body]);
}
