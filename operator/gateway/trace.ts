// A request of a client as a span. Only where tracing is on.
import type { Tracing } from '../../common/tracing.ts';
import type { Call } from './call.ts';
import { splitUrl } from './route.ts';

/** `work` answers the call: what it starts is a part of the span, which ends with the answer. */
export function traceCall(call: Call, tracing: Tracing, work: () => void): void {
  const { method = '', url = '', headers } = call.req;
  const { path } = splitUrl(url);
  const attributes = {
    'http.request.method': method,
    'url.path': path,
    'http.request.body.size': Number(headers['content-length'] ?? 0),
    'refmodel.request_id': call.id,
  };
  // Of the path alone, which clients pick: the name is for people to read, and backends bound its values.
  const span = tracing.start(`${method} ${path}`, { kind: 'Server', headers, attributes });
  call.res.on('close', () => {
    const code = call.res.writableFinished ? call.res.statusCode : 499;
    span.set({
      'http.response.status_code': code,
      'refmodel.model': call.model,
      'error.type': call.errorCode,
    });
    span.end(code >= 500 ? new Error(`status ${code}`) : undefined);
  });
  tracing.within(span, work);
}
