// What the measurement sends, and what it makes of the times.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, readMessages } from './http1.ts';
import { host } from './processes.ts';

export const requestOf = (bytes: number): Buffer =>
  messageOf(
    'POST /v1/logprobs HTTP/1.1',
    [`host: ${host}`, 'content-type: application/json'],
    Buffer.from(`{"model":"rl/tiny","input_ids":"${'1'.repeat(bytes)}"}`),
  );

interface Waiting {
  resolve: (answeredAt: number) => void;
  reject: (reason: Error) => void;
}

/** Connections to one port, each with a request at a time, kept for the next. */
export class Client {
  readonly #port: number;
  readonly #idle: Socket[] = [];
  readonly #waiting = new Map<Socket, Waiting | undefined>();

  constructor(port: number) {
    this.#port = port;
  }

  /** Resolves when the whole answer is here: `performance.now()` then. Rejects for any but 200. */
  send(request: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      const socket = this.#idle.pop() ?? this.#open();
      this.#waiting.set(socket, { resolve, reject });
      socket.write(request);
    });
  }

  /** Cuts every connection, those with a request too, which then reject. */
  close(): void {
    for (const socket of this.#waiting.keys()) socket.destroy();
  }

  #open(): Socket {
    const socket = connect({ port: this.#port, host, noDelay: true });
    readMessages(socket, ({ head }) => {
      const waiting = this.#waiting.get(socket);
      this.#waiting.set(socket, undefined);
      this.#idle.push(socket);
      if (head.startsWith('HTTP/1.1 200')) waiting?.resolve(performance.now());
      else waiting?.reject(new Error(head));
    });
    socket.on('error', () => {}); // it closes then
    socket.once('close', () => {
      this.#waiting.get(socket)?.reject(new Error('the connection closed'));
      this.#waiting.delete(socket);
    });
    return socket;
  }
}

/**
 * One second of requests, each at its time whether those before were answered or not. The milliseconds of each, counted
 * from when it was due: what the generator is late counts too.
 */
export async function second(
  client: Client,
  request: Buffer,
  perSecond: number,
): Promise<number[]> {
  const took: Promise<number>[] = [];
  const startedAt = performance.now();
  while (took.length < perSecond) {
    const due = ((performance.now() - startedAt) / 1000) * perSecond;
    while (took.length < Math.min(perSecond, due)) {
      const dueAt = startedAt + (took.length / perSecond) * 1000;
      took.push(client.send(request).then((answeredAt) => answeredAt - dueAt));
    }
    await sleep(1);
  }
  return Promise.all(took);
}

export function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export const ms = (values: readonly number[], share: number): string =>
  at(values, share).toFixed(2);
