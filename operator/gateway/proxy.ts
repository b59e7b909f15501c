// One exchange with a pod: headers rewritten, body sent from memory, answer passed on at the client's pace.
// It knows nothing of models and decides nothing about retries; it says how far the exchange came.
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { AppError, type ErrorCode, errorKinds } from '../../common/errors.ts';
import type { ModelKey } from '../pool.ts';
import type { Connections, PodAddress } from './connections.ts';
import { toClient, toPod } from './message.ts';

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

export interface ExchangeOptions {
  /** Such a request takes a connection of its own: a kept one may be as dead as the one before. */
  isRetry: boolean;
  signal: AbortSignal;
  /** A pod of a larger class follows: that the model is too large is then no answer for the client. */
  hasLarger?: boolean;
  /** Writes the head of the answer, and says where its body goes. */
  begin: (status: number, headers: OutgoingHttpHeaders) => ServerResponse;
}

/**
 * Answered: the client has the whole answer, or its connection will bring it. TurnedAway: the pod did no work, it was
 * not reached or is leaving. Broke: the pod had the request and ended the connection before the first byte of an answer.
 * TooLarge: the pod can never hold the model, and `hasLarger`.
 */
export type Outcome =
  | { kind: 'Answered' }
  | { kind: 'TurnedAway'; cause: string }
  | { kind: 'TooLarge'; cause: string }
  | { kind: 'Broke'; cause: string };

/** Answers by which a pod says that it has not touched the request. */
const turnAwayCodes = new Set<unknown>(['SHUTTING_DOWN', 'NOT_READY'] satisfies ErrorCode[]);
const tooLarge: ErrorCode = 'MODEL_TOO_LARGE';
/** Error bodies are small; what is longer is not one of ours. */
const errorAnswer = z.object({ error: z.object({ code: z.string() }) });
const maxErrorBytes = 64 * 1024;
/** What was asked for cannot be written as HTTP; no pod would make a difference. */
const unwritable = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED']);

export class Proxy {
  readonly #connections: Connections;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /**
   * Sends the request and passes the answer on. Throws the signal's reason when that fires, and an error when the
   * answer breaks off in the middle.
   */
  exchange(
    request: ProxyRequest,
    address: PodAddress,
    { isRetry, signal, hasLarger = false, begin }: ExchangeOptions,
  ): Promise<Outcome> {
    const connections = this.#connections;
    const { method, path, body = null } = request;
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const connection = connections.take(address, { isFresh: isRetry });
      const onAbort = () => exchange.abort(signal.reason);
      const exchange = new Exchange({ begin, hasLarger }, (end) => {
        signal.removeEventListener('abort', onAbort);
        if ('isWhole' in end && end.isWhole) connections.keep(connection);
        else connections.drop(connection);
        if ('error' in end) reject(end.error);
        else resolve(end.outcome);
      });
      signal.addEventListener('abort', onAbort);
      const headers = toPod(request.headers, request);
      connection.dispatch({ method, path, headers, body }, exchange);
    });
  }
}

/** Whole: the connection can take another request. */
type End = { outcome: Outcome; isWhole: boolean } | { error: unknown };

/** What the connection tells about one request, in order: start, head, data, end; or an error at any time. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #begin: ExchangeOptions['begin'];
  /** Statuses of answers that are read before they are passed on. */
  readonly #suspicious: ReadonlySet<number>;
  readonly #end: (end: End) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #res: ServerResponse | undefined;
  /** An answer that is read before it is passed on: it may say that the pod has done nothing. */
  #suspect: { status: number; headers: IncomingHttpHeaders; chunks: Buffer[] } | undefined;
  #hasEnded = false;

  constructor(
    { begin, hasLarger }: Required<Pick<ExchangeOptions, 'begin' | 'hasLarger'>>,
    end: (end: End) => void,
  ) {
    this.#begin = begin;
    this.#suspicious = hasLarger ? beforeLarger : turnAwayStatuses;
    this.#end = (how) => {
      if (this.#hasEnded) return;
      this.#hasEnded = true;
      end(how);
    };
  }

  abort(reason: unknown): void {
    this.#res?.destroy();
    this.#end({ error: reason });
    this.#controller?.abort(new Error('the request was given up', { cause: reason }));
  }

  /** The connection is open and the request is about to be written: from here on the pod may have begun to work. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#hasEnded) controller.abort(new Error('the request was given up before'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (status < 200) return; // informational: the answer is still to come
    if (this.#suspicious.has(status) && isShort(headers))
      this.#suspect = { status, headers, chunks: [] };
    else this.#res = this.#begin(status, toClient(headers));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#suspect) this.#suspect.chunks.push(chunk);
    if (!this.#res || this.#res.write(chunk)) return;
    controller.pause();
    this.#res.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    const outcome = this.#suspect ? this.#judge(this.#suspect) : answered;
    this.#res?.end();
    this.#end({ outcome, isWhole: true });
  }

  onResponseError(_controller: Dispatcher.DispatchController, err: Error): void {
    if (this.#res) {
      this.#res.destroy();
      this.#end({ error: err });
    } else if ('code' in err && unwritable.has(String(err.code))) {
      const message = `sending the request to the pod: ${err.message}`;
      this.#end({ error: new AppError('INVALID_REQUEST', message, { cause: err }) });
    } else {
      const kind = this.#controller ? 'Broke' : 'TurnedAway';
      this.#end({ outcome: { kind, cause: err.message }, isWhole: false });
    }
  }

  #judge({
    status,
    headers,
    chunks,
  }: {
    status: number;
    headers: IncomingHttpHeaders;
    chunks: Buffer[];
  }): Outcome {
    const body = Buffer.concat(chunks);
    const code = errorCode(body);
    if (turnAwayCodes.has(code)) return { kind: 'TurnedAway', cause: String(code) };
    if (code === tooLarge) return { kind: 'TooLarge', cause: tooLarge };
    this.#res = this.#begin(status, toClient(headers));
    this.#res.write(body);
    return answered;
  }
}

const turnAwayStatuses: ReadonlySet<number> = new Set([503]);
const beforeLarger: ReadonlySet<number> = new Set([503, errorKinds[tooLarge].status]);
const answered: Outcome = { kind: 'Answered' };

const isShort = (headers: IncomingHttpHeaders): boolean =>
  Number(headers['content-length'] ?? Number.POSITIVE_INFINITY) <= maxErrorBytes;

function errorCode(body: Buffer): unknown {
  try {
    return errorAnswer.safeParse(JSON.parse(body.toString('utf8'))).data?.error.code;
  } catch {
    return undefined; // not ours: passed on as it is
  }
}
