// The HTTP edge that every process shares: request id, health, metrics, the one place that makes error bodies.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import * as zlib from 'node:zlib';
import express, {
  type ErrorRequestHandler,
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import type { Registry } from 'prom-client';
import { ClientGoneError } from './abort.ts';
import { AppError, type ErrorCode, type ErrorShape, errorBody, toAppError } from './errors.ts';
import type { Logger } from './log.ts';

export interface Health {
  /** False from SIGTERM on, and before the process has what it needs. */
  isReady(): boolean;
}

const requestIdPattern = /^[\w.:-]{1,128}$/;

/** What the client calls the request, or a name for it. */
export function requestIdOf({ 'x-request-id': given }: IncomingHttpHeaders): string {
  return typeof given === 'string' && requestIdPattern.test(given) ? given : randomUUID();
}

/** An express app without its error handler: routes are added, then `finish`. */
export function createApp(): Express {
  const app = express();
  app.set('case sensitive routing', true); // as gateways judge paths; else /CACHE would be another word for /cache
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.use(function requestId(req: Request, res: Response, next: NextFunction) {
    const id = requestIdOf(req.headers);
    req.headers['x-request-id'] = id;
    res.setHeader('x-request-id', id);
    next();
  });
  return app;
}

/** `/healthz` (the process lives), `/readyz` (send it work), `/metrics`. */
export function addHealth(app: Express, health: Health, metrics: Registry): void {
  app.get('/healthz', (_req, res) => {
    res.type('text/plain').send('ok\n');
  });
  app.get('/readyz', (_req, res) => {
    if (!health.isReady()) throw new AppError('NOT_READY', 'not ready');
    res.type('text/plain').send('ok\n');
  });
  app.get('/metrics', async (_req, res) => {
    res.type(metrics.contentType).send(await metrics.metrics());
  });
}

/** The last two handlers: no such route, and errors. */
export function finish(app: Express, log: Logger, shape: ErrorShape = errorBody): void {
  app.use((req) => {
    throw new AppError('ROUTE_NOT_FOUND', `no route ${req.method} ${req.path}`);
  });
  app.use(errorHandler(log, shape));
}

/** What the error handler leaves behind, for whoever counts. */
export interface ErrorLocals extends Record<string, unknown> {
  errorCode?: ErrorCode;
}

export function errorHandler(log: Logger, shape: ErrorShape = errorBody): ErrorRequestHandler {
  return function handleError(err: unknown, req, res, _next) {
    const answer = errorAnswer(err, { id: req.get('x-request-id'), path: req.path, shape, log });
    if (!answer) return;
    (res.locals as ErrorLocals).errorCode = answer.code;
    if (res.headersSent) res.destroy();
    else res.status(answer.status).set(answer.headers).json(answer.body);
  };
}

export interface ErrorAnswer {
  code: ErrorCode;
  status: number;
  headers: { 'retry-after'?: string; 'www-authenticate'?: string; 'accept-encoding'?: string };
  body: object;
}

/** What a failed request is answered: nothing when its client has left. What is our own fault is logged. */
export function errorAnswer(
  err: unknown,
  request: { id: string | undefined; path: string; shape: ErrorShape; log: Logger },
): ErrorAnswer | undefined {
  if (err instanceof ClientGoneError) return undefined;
  const { id, path, shape, log } = request;
  const error = fromRouter(err) ?? fromBodyParser(err) ?? fromInflate(err) ?? toAppError(err);
  if (error.status === 500) log.error({ err: error, requestId: id, path }, 'request failed');
  const headers = {
    ...(error.isRetryable && { 'retry-after': String(error.retryAfterSeconds) }),
    ...(error instanceof CodingError && { 'accept-encoding': codings.join(', ') }),
    ...(error.status === 401 && { 'www-authenticate': 'Bearer realm="refmodel"' }),
  };
  return { code: error.code, status: error.status, headers, body: shape(error, id, path) };
}

/** What the router throws of a path that does not decode. */
function fromRouter(err: unknown): AppError | undefined {
  if (!(err instanceof URIError)) return undefined;
  return new AppError('INVALID_REQUEST', `reading the path: ${err.message}`, { cause: err });
}

/** Content codings that bodies of requests may have; zstd where Node.js has it, from 22.15 on. */
export const codings = [
  'gzip',
  'deflate',
  'br',
  ...('createZstdDecompress' in zlib ? ['zstd'] : []),
];

/** A body is in a content coding that is not read; the answer says which are (RFC 9110, 15.5.16). */
export class CodingError extends AppError {
  constructor(problem: string, options: { cause?: unknown } = {}) {
    super('UNSUPPORTED_MEDIA_TYPE', `${problem}, send ${codings.join(', ')}`, options);
  }
}

/** What express.json throws, in our codes. Its errors carry `type` (npm body-parser, "Errors"). */
function fromBodyParser(err: unknown): AppError | undefined {
  if (!(err instanceof Error) || !('type' in err)) return undefined;
  switch (err.type) {
    case 'entity.too.large':
      return new AppError('BODY_TOO_LARGE', `reading the body: ${err.message}`, { cause: err });
    case 'entity.parse.failed':
      return new AppError('MALFORMED_JSON', `reading the body: ${err.message}`, { cause: err });
    case 'encoding.unsupported':
      return new CodingError(`reading the body: ${err.message}`, { cause: err });
    case 'charset.unsupported':
      return new AppError('UNSUPPORTED_MEDIA_TYPE', `reading the body: ${err.message}`, {
        cause: err,
      });
    case 'request.aborted':
    case 'request.size.invalid':
    case 'entity.verify.failed':
      return new AppError('INVALID_REQUEST', `reading the body: ${err.message}`, { cause: err });
    default:
      return undefined;
  }
}

/** What zlib makes of a body that does not inflate: it has a status, and no type. */
function fromInflate(err: unknown): AppError | undefined {
  if (!(err instanceof Error) || err instanceof AppError) return undefined;
  if (!('status' in err) || err.status !== 400) return undefined;
  return new AppError('INVALID_REQUEST', `reading the body: ${err.message}`, { cause: err });
}

/** A signal that fires with ClientGoneError when the client leaves before the answer is written. */
export function clientSignal(res: ServerResponse): AbortSignal {
  const controller = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) controller.abort(new ClientGoneError('the client left'));
  });
  return controller.signal;
}

/** 405 with Allow for a route that exists under other methods. */
export function methodNotAllowed(...allowed: string[]): RequestHandler {
  return (req, res) => {
    res.setHeader('allow', allowed.join(', '));
    throw new AppError(
      'METHOD_NOT_ALLOWED',
      `${req.method} is not allowed, use ${allowed.join(' or ')}`,
    );
  };
}

export interface Listening {
  server: Server;
  port: number;
  /** Stops accepting, lets requests in flight finish, then resolves. */
  close(): Promise<void>;
}

/** Bounds of what a client may hold of a server before there is a request. Times in milliseconds. */
export interface Limits {
  /** Until the headers of a request are there. */
  readonly headersMs: number;
  /** Until all of it is there. An answer may take as long as it takes. */
  readonly requestMs: number;
  /** How often both are looked at. */
  readonly checkMs: number;
  /** Connections at a time; more are closed at once. */
  readonly connections: number;
}

/** 256 MiB at 1 MB/s are through in time. */
const usualLimits: Limits = {
  headersMs: 30_000,
  requestMs: 300_000,
  checkMs: 5000,
  connections: 10_000,
};

export async function listen(
  app: RequestListener,
  portNumber: number,
  host?: string,
  limits = usualLimits,
): Promise<Listening> {
  const server = createServer(
    {
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: limits.checkMs,
      // Longer than the pools of clients keep a connection: who closes first must not be us.
      keepAliveTimeout: 75_000,
    },
    app,
  );
  server.maxConnections = limits.connections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(portNumber, host, resolve);
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const address = server.address();
  assert(typeof address === 'object' && address, 'listens on a port, not on a pipe');
  return { server, port: address.port, close: () => closeServer(server, sockets) };
}

/**
 * A kept-alive connection becomes idle only after its answer, so idle ones are closed until none is left.
 * One that never sent a byte (clients open spare ones) does not count as idle for node: it is closed here.
 */
async function closeServer(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const sweep = setInterval(() => {
    server.closeIdleConnections();
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  }, 50);
  try {
    await new Promise<void>((resolve, reject) => {
      server.close((err) => (err ? reject(err) : resolve()));
    });
  } finally {
    clearInterval(sweep);
  }
}
