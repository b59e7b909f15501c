// One HTTP exchange with the API server: credentials, keep-alive, time limit, errors. Knows no kinds and no verbs.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { z } from 'zod';
import { type LinkedSignal, TimeoutError, withTimeout } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { ApiServer, CallOptions } from './api-server.ts';
import { refusalStatus } from './envelopes.ts';
import { KubernetesApiError } from './errors.ts';

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  body?: unknown;
  contentType?: string;
}

export interface ApiCall {
  method: ApiRequest['method'];
  /** HTTP status; 0 when there was no answer. */
  status: number;
  seconds: number;
}

export interface TransportOptions {
  server: ApiServer;
  clock: Clock;
  /** Limit of one call, body included; of a watch, until its headers. Milliseconds. */
  timeoutMs: number;
  userAgent: string;
  /** Told of every call when its headers are there, or have failed. */
  observe?: (call: ApiCall) => void;
}

/** Calls at a time; others wait for their turn. */
const maxConnections = 16;

/** Larger answers are a defect: lists come in pages. Bytes. */
const maxBodyBytes = 64 * 1024 * 1024;

export class Transport {
  readonly #options: TransportOptions;
  /** Of calls that end soon: few connections that are used again, since each costs a handshake on both sides. */
  readonly #calls: HttpAgent;
  /** Of watches, each of which keeps its connection. */
  readonly #streams: HttpAgent;

  constructor(options: TransportOptions) {
    this.#options = options;
    const Agent = options.server.url.protocol === 'http:' ? HttpAgent : HttpsAgent;
    const kept = { keepAlive: true, keepAliveMsecs: 15_000, scheduling: 'lifo' } as const;
    this.#calls = new Agent({ ...kept, maxSockets: maxConnections });
    this.#streams = new Agent(kept);
  }

  /** The JSON of a 2xx answer. Throws KubernetesApiError, or the reason of `signal` when that fired. */
  async json(call: ApiRequest, signal: AbortSignal): Promise<unknown> {
    using limit = withTimeout(signal, this.#options.timeoutMs, this.#options.clock);
    try {
      const answer = await this.#exchange(call, this.#calls, limit.signal);
      return await readJson(call, answer);
    } catch (err) {
      throw asApiError(call, err, { caller: signal, limit });
    }
  }

  /** A 2xx answer whose body the caller reads for as long as it likes; `signal` ends it. */
  async stream(call: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { clock, timeoutMs } = this.#options;
    const headers = withTimeout(signal, timeoutMs, clock);
    try {
      const answer = await this.#exchange(call, this.#streams, headers.signal);
      const end = () => answer.destroy();
      signal.addEventListener('abort', end, { once: true });
      answer.once('close', () => signal.removeEventListener('abort', end));
      if (signal.aborted) end();
      return answer;
    } catch (err) {
      throw asApiError(call, err, { caller: signal, limit: headers });
    } finally {
      headers[Symbol.dispose]();
    }
  }

  close(): void {
    this.#calls.destroy();
    this.#streams.destroy();
  }

  async #exchange(
    call: ApiRequest,
    agent: HttpAgent,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const started = this.#options.clock.now();
    let status = 0;
    try {
      const answer = await this.#send(call, agent, signal);
      status = answer.statusCode ?? 0;
      if (status < 200 || status > 299) throw await refusal(call, answer);
      return answer;
    } finally {
      const seconds = (this.#options.clock.now() - started) / 1000;
      this.#options.observe?.({ method: call.method, status, seconds });
    }
  }

  /** A kept connection may have been closed by the server just now; nothing was read from it: once more. */
  async #send(call: ApiRequest, agent: HttpAgent, signal: AbortSignal): Promise<IncomingMessage> {
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const options = {
      ...(await this.#callOptions(call, body)),
      ...(!this.#options.server.hasProxy && { agent }),
    };
    const first = await attempt(options, body, signal);
    if (first !== 'stale connection') return first;
    const second = await attempt({ ...options, agent: false }, body, signal);
    if (second === 'stale connection') throw new Error('a fresh connection cannot be stale');
    return second;
  }

  /** Credentials are asked for at each call, since tokens change while we run. */
  async #callOptions(call: ApiRequest, body?: Buffer): Promise<CallOptions> {
    const { server, userAgent } = this.#options;
    const { url } = server;
    const options: CallOptions = {
      method: call.method,
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port || (url.protocol === 'http:' ? 80 : 443),
      path: url.pathname.replace(/\/$/, '') + call.path + queryString(call.query ?? {}),
      headers: {
        accept: 'application/json',
        'user-agent': userAgent,
        ...(body && {
          'content-type': call.contentType ?? 'application/json',
          'content-length': body.length, // Node frames no body of a DELETE by itself
        }),
      },
    };
    await server.authenticate(options);
    return options;
  }
}

function queryString(query: NonNullable<ApiRequest['query']>): string {
  const parts = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(String(value))}`],
  );
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

/** Resolves with the headers. The signal stays connected to the request until they are there. */
function attempt(
  options: CallOptions,
  body: Buffer | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage | 'stale connection'> {
  signal.throwIfAborted();
  const send = options.protocol === 'http:' ? httpRequest : httpsRequest;
  return new Promise((resolve, reject) => {
    const request = send({ ...options, signal });
    request.once('response', (answer) => {
      answer.on('error', () => {}); // also reported to whoever reads it
      resolve(answer);
    });
    request.once('error', (err: NodeJS.ErrnoException) => {
      if (request.reusedSocket && err.code === 'ECONNRESET') resolve('stale connection');
      else reject(err);
    });
    request.end(body);
  });
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new Error(`the answer is larger than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function readJson(call: ApiRequest, answer: IncomingMessage): Promise<unknown> {
  const text = await readText(answer);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `${describe(call)}: the answer is not JSON`;
    throw new KubernetesApiError(message, { apiStatus: 0, reason: 'Malformed', cause });
  }
}

/** An answer that is not 2xx. Its body is meta/v1 Status, unless something in between wrote it. */
async function refusal(call: ApiRequest, answer: IncomingMessage): Promise<KubernetesApiError> {
  const text = await readText(answer);
  const apiStatus = answer.statusCode ?? 0;
  const status = statusOf(text);
  const message = status?.message ?? text.slice(0, 500).trim();
  return new KubernetesApiError(`${describe(call)}: ${message || `status ${apiStatus}`}`, {
    apiStatus,
    reason: status?.reason ?? '',
  });
}

function statusOf(text: string): z.output<typeof refusalStatus> | undefined {
  try {
    return refusalStatus.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // a proxy's own words
  }
}

const describe = (call: ApiRequest): string => `${call.method} ${call.path}`;

/** The caller's own reason when it gave up, else a KubernetesApiError. */
function asApiError(
  call: ApiRequest,
  err: unknown,
  signals: { caller: AbortSignal; limit: LinkedSignal },
): unknown {
  if (signals.caller.aborted) return signals.caller.reason;
  if (err instanceof AppError) return err;
  const hasTimedOut = signals.limit.signal.reason instanceof TimeoutError;
  const reason = hasTimedOut ? 'Timeout' : 'Unreachable';
  const cause = hasTimedOut ? signals.limit.signal.reason : err;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new KubernetesApiError(`${describe(call)}: ${text}`, { apiStatus: 0, reason, cause });
}
