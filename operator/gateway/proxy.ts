// One exchange with a pod: headers rewritten, body sent from memory, answer streamed back.
// It knows nothing of models and decides nothing about retries; it says how far the exchange came.
import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { z } from 'zod';
import type { ErrorCode } from '../../common/errors.ts';
import { callerHeader, modelHeader } from '../../server/contract.ts';
import type { ModelKey } from '../pool.ts';
import type { Endpoint } from './backend.ts';

export interface ProxyRequest {
  method: string;
  /** With the query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer | undefined;
  model: ModelKey;
  /** Who takes turns with others; by default each request does. */
  caller?: string;
}

/**
 * Answered: the head of an answer is there. TurnedAway: the pod did no work, it was not reached or is leaving.
 * Broke: the pod had the request and ended the connection before the first byte of an answer.
 */
export type Exchange =
  | { kind: 'Answered'; answer: Answer }
  | { kind: 'TurnedAway'; cause: string }
  | { kind: 'Broke'; cause: string };

export interface Answer {
  status: number;
  headers: OutgoingHttpHeaders;
  body: IncomingMessage | Buffer;
}

/** Headers of one connection, not of the message (RFC 9110, 7.6.1), and those that we write ourselves. */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];
const ownedPrefix = 'x-refmodel-';

/** Silence after which the kernel asks whether the peer still lives. Milliseconds. */
const deadPeerMs = 5000;

/** Answers by which a pod says that it has not touched the request. */
const turnAwayCodes = new Set<unknown>(['SHUTTING_DOWN', 'NOT_READY'] satisfies ErrorCode[]);
/** Error bodies are small; what is longer is not one of ours. */
const errorAnswer = z.object({ error: z.object({ code: z.string() }) });
const maxErrorBytes = 64 * 1024;

export class Proxy {
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 64, scheduling: 'lifo' });
  readonly #connectTimeoutMs: number;

  constructor(options: { connectTimeoutMs: number }) {
    this.#connectTimeoutMs = options.connectTimeoutMs;
  }

  /**
   * Sends the request and waits for the head of the answer. Throws the signal's reason when that fires.
   * `isRetry` takes a connection of its own: a kept one may be as dead as the one before.
   */
  async exchange(
    request: ProxyRequest,
    endpoint: Endpoint,
    options: { isRetry: boolean; signal: AbortSignal },
  ): Promise<Exchange> {
    const { signal, isRetry } = options;
    signal.throwIfAborted();
    const sent = httpRequest({
      agent: isRetry ? false : this.#agent,
      host: endpoint.host,
      port: endpoint.port,
      method: request.method,
      path: request.path,
      headers: requestHeaders(request),
      signal,
    });
    sent.setSocketKeepAlive(true, deadPeerMs); // a node that is gone says nothing
    const connection = this.#watchConnection(sent);
    try {
      const response = await send(sent, request.body);
      return await classify(response, signal);
    } catch (err) {
      if (signal.aborted) throw signal.reason;
      const cause = err instanceof Error ? err.message : String(err);
      return { kind: connection.isOpened ? 'Broke' : 'TurnedAway', cause };
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Without a connection nothing reached the pod; with one, it may have begun to work. */
  #watchConnection(sent: ClientRequest): { isOpened: boolean } {
    const connection = { isOpened: false };
    const ms = this.#connectTimeoutMs;
    sent.once('socket', (socket) => {
      connection.isOpened = !socket.connecting;
      if (connection.isOpened) return;
      const late = () => sent.destroy(new Error(`no connection within ${ms} ms`));
      const timer = setTimeout(late, ms);
      socket.once('close', () => clearTimeout(timer));
      socket.once('connect', () => {
        connection.isOpened = true;
        clearTimeout(timer);
      });
    });
    return connection;
  }
}

function send(sent: ClientRequest, body: Buffer | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.on('error', reject);
    sent.once('response', (response) => {
      response.on('error', () => {}); // reaches whoever reads the body
      resolve(response);
    });
    sent.end(body);
  });
}

/** Writes the answer to the client at the client's pace. Throws when either side breaks off. */
export async function relay(
  answer: Answer,
  res: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  res.writeHead(answer.status, answer.headers);
  if (Buffer.isBuffer(answer.body)) res.end(answer.body);
  else await pass(answer.body, res, signal);
}

/** Not stream.pipeline: what it sets up and takes down costs as much as a tenth of a small exchange. */
function pass(body: IncomingMessage, res: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (err?: unknown) => {
      signal.removeEventListener('abort', onAbort);
      if (err === undefined) return resolve();
      body.destroy();
      res.destroy();
      reject(err);
    };
    const onAbort = () => end(signal.reason);
    body.once('close', () => {
      if (!body.complete) end(new Error('the pod broke off'));
    });
    res.once('finish', () => end());
    res.once('close', () => {
      if (!res.writableFinished) end(new Error('the client broke off'));
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else body.pipe(res);
  });
}

async function classify(response: IncomingMessage, signal: AbortSignal): Promise<Exchange> {
  const status = response.statusCode ?? 502;
  const answer: Answer = { status, headers: messageHeaders(response.headers), body: response };
  if (status !== 503 || !isShort(response)) return { kind: 'Answered', answer };
  const body = await readAll(response, signal);
  const code = errorCode(body);
  if (turnAwayCodes.has(code)) return { kind: 'TurnedAway', cause: String(code) };
  return { kind: 'Answered', answer: { ...answer, body } };
}

const isShort = (response: IncomingMessage): boolean =>
  Number(response.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= maxErrorBytes;

async function readAll(response: IncomingMessage, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  signal.throwIfAborted();
  return Buffer.concat(chunks);
}

function errorCode(body: Buffer): unknown {
  try {
    return errorAnswer.safeParse(JSON.parse(body.toString('utf8'))).data?.error.code;
  } catch {
    return undefined; // not ours: passed on as it is
  }
}

function requestHeaders(request: ProxyRequest): OutgoingHttpHeaders {
  const headers = messageHeaders(request.headers);
  for (const name of Object.keys(headers)) {
    if (name.startsWith(ownedPrefix)) delete headers[name];
  }
  delete headers['expect'];
  delete headers['host']; // node writes the pod's
  delete headers['content-length'];
  if (request.body) headers['content-length'] = request.body.length;
  headers[modelHeader] = request.model;
  if (request.caller !== undefined) headers[callerHeader] = request.caller;
  return headers;
}

/** The headers of the message itself: without those of the connection, and those that it names. */
function messageHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  const dropped = new Set([...hopByHop, ...named]);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !dropped.has(name)));
}
