// One request of a client, and the way to answer it. Plain node:http: what a framework adds to each request is as
// much as half of what the gateway itself does with it.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { ClientGoneError } from '../../common/abort.ts';
import type { ErrorCode } from '../../common/errors.ts';
import { errorAnswer, requestIdOf } from '../../common/http.ts';
import type { Logger } from '../../common/log.ts';
import { errorShape } from '../../server/contract.ts';
import type { ModelKey } from '../pool.ts';

export class Call {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly id: string;
  /** Once it is found. */
  model: ModelKey | undefined;
  /** Of the error that it was answered with here. */
  errorCode: ErrorCode | undefined;
  readonly #isDraining: () => boolean;

  constructor(req: IncomingMessage, res: ServerResponse, isDraining: () => boolean) {
    this.req = req;
    this.res = res;
    this.id = requestIdOf(req.headers);
    req.headers['x-request-id'] = this.id;
    this.#isDraining = isDraining;
  }

  /** Of every answer. Clients that keep their connection would keep a gateway that drains from ending. */
  headers(): OutgoingHttpHeaders {
    const id = { 'x-request-id': this.id };
    return this.#isDraining() ? { ...id, connection: 'close' } : id;
  }

  /** Aborts with ClientGoneError when the client leaves before its answer is written. */
  endWithClient(work: AbortController): AbortController {
    this.res.on('close', () => {
      if (!this.res.writableFinished) work.abort(new ClientGoneError('the client left'));
    });
    return work;
  }

  /** Texts are plain, the rest is JSON. */
  send(body: string | object, status = 200, extra: OutgoingHttpHeaders = {}): void {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    this.res.writeHead(status, {
      ...this.headers(),
      ...extra,
      'content-type': `${typeof body === 'string' ? 'text/plain' : 'application/json'}; charset=utf-8`,
      'content-length': Buffer.byteLength(text),
    });
    this.res.end(text);
  }

  /** An answer that has begun cannot be taken back: then the connection is cut. */
  fail(err: unknown, log: Logger): void {
    const [path = ''] = (this.req.url ?? '').split('?', 1);
    const answer = errorAnswer(err, { id: this.id, path, shape: errorShape, log });
    if (!answer) return;
    this.errorCode = answer.code;
    if (this.res.headersSent) this.res.destroy();
    else this.send(answer.body, answer.status, answer.headers);
  }
}
