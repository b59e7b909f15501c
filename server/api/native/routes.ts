// The native routes, in one list.
import type { Express, RequestHandler } from 'express';
import { methodNotAllowed } from '../../../common/http.ts';
import { postComputeLogProbs, postComputeRewards } from './compute.ts';
import { postLogprobs } from './logprobs.ts';
import type { NativeOptions } from './options.ts';
import { postRewards } from './rewards.ts';

/** `body` admits and reads a body of any format. */
export function addNative(app: Express, body: RequestHandler[], options: NativeOptions): void {
  const post = (path: string, handler: RequestHandler) =>
    app.route(path).post(body, handler).all(methodNotAllowed('POST'));
  post('/v1/logprobs', postLogprobs(options));
  post('/v1/rewards', postRewards(options));
  post('/compute_log_probs', postComputeLogProbs(options));
  post('/compute_rewards', postComputeRewards(options));
}
