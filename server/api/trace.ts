// A request as a span, and what is done for it as spans of that.
import type { RequestHandler, Response } from 'express';
import { noTracing, type Tracing, traced } from '../../common/tracing.ts';

interface Traced {
  tracing?: Tracing;
}

/** From the request to the end of its answer. Only where tracing is on. */
export function traceRequest(tracing: Tracing): RequestHandler {
  return function traceRequestAsSpan(req, res, next) {
    const { method, path, headers } = req;
    const id = req.get('x-request-id');
    const attributes = {
      'http.request.method': method,
      'url.path': path,
      'http.request.body.size': Number(req.get('content-length') ?? 0),
      'refmodel.request_id': id,
    };
    const span = tracing.start(method, { kind: 'Server', headers, attributes });
    (res.locals as Traced).tracing = tracing;
    res.once('close', () => {
      const route: unknown = req.route?.path;
      if (typeof route === 'string') {
        span.rename(`${method} ${route}`);
        span.set({ 'http.route': route });
      }
      const code = res.writableFinished ? res.statusCode : 499;
      span.set({ 'http.response.status_code': code });
      span.end(code >= 500 ? new Error(`status ${code}`) : undefined);
    });
    tracing.within(span, next);
  };
}

/** `work` for the request that `res` answers, as a span of it. */
export function tracedFor<T>(
  res: Response,
  name: string,
  work: () => Promise<T>,
  attributes = {},
): Promise<T> {
  const { tracing = noTracing } = res.locals as Traced;
  return traced(tracing, name, { attributes }, work);
}
