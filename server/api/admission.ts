// Bounds what scoring requests hold in memory together, before their bodies are read: while a model loads, and
// while it scores, their number is up to the clients.
import type { RequestHandler } from 'express';
import { AppError } from '../../common/errors.ts';

export interface AdmissionLimits {
  /** Requests that are read, wait or run. */
  maxRequests: number;
  /** Bytes of their bodies as sent. */
  maxBytes: number;
  /** What a body of unknown length counts for. */
  maxBodyBytes: number;
}

/** Refuses with QUEUE_FULL. A single request is never too large for it: that is the body limit's matter. */
export function admit(limits: AdmissionLimits): RequestHandler {
  let requests = 0;
  let bytes = 0;
  return function admitRequest(req, res, next) {
    const length = Number(req.get('content-length') ?? limits.maxBodyBytes);
    const size = Math.min(length, limits.maxBodyBytes);
    if (requests >= limits.maxRequests || (requests > 0 && bytes + size > limits.maxBytes)) {
      throw new AppError('QUEUE_FULL', `admitting a request: ${requests} hold ${bytes} bytes`);
    }
    requests += 1;
    bytes += size;
    res.once('close', () => {
      requests -= 1;
      bytes -= size;
    });
    next();
  };
}
