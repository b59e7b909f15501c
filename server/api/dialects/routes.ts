// The routes of every dialect, in one list.
import type { Express, RequestHandler } from 'express';
import { methodNotAllowed } from '../../../common/http.ts';
import { postCompletions } from './completions.ts';
import { postInferenceGenerate } from './inference-generate.ts';
import { postScoreEvaluation } from './llama-factory.ts';
import { getInference, postInfer } from './open-inference.ts';
import { postGetReward } from './openrlhf.ts';
import type { DialectOptions } from './scored.ts';
import { isSglangClassify, postSglangClassify } from './sglang-classify.ts';
import { getModelInfo, postSglangGenerate } from './sglang-generate.ts';
import { postRemoteReward } from './slime.ts';
import { getTokenizerInfo, postDetokenize, postTokenize } from './tokenize.ts';
import { postSequenceLogprobs } from './trl-sequence-logprobs.ts';
import { postClassify, postEmbeddings, postPooling } from './vllm-pooling.ts';

/** What admits a body and reads it: as JSON, or as the Open Inference Protocol has it. */
export interface DialectBodies {
  json: RequestHandler[];
  inference: RequestHandler[];
}

export function addDialects(app: Express, bodies: DialectBodies, options: DialectOptions): void {
  const { lookup, scoring } = options;
  const post = (path: string, handler: RequestHandler) =>
    app.route(path).post(bodies.json, handler).all(methodNotAllowed('POST'));
  const get = (path: string, handler: RequestHandler) =>
    app.route(path).get(handler).all(methodNotAllowed('GET'));

  post('/v1/completions', postCompletions(options));
  post('/inference/v1/generate', postInferenceGenerate(options));
  post('/tokenize', postTokenize(lookup, scoring.cache));
  post('/detokenize', postDetokenize(lookup, scoring.cache));
  get('/tokenizer_info', getTokenizerInfo(lookup, scoring.cache));

  post('/generate', postSglangGenerate(options));
  get('/get_model_info', getModelInfo(options));

  const classify = eitherClassify(postSglangClassify(options), postClassify(options));
  post('/classify', classify);
  post('/v1/classify', classify);
  post('/pooling', postPooling(options));
  post('/v1/embeddings', postEmbeddings(options));
  post('/get_reward', postGetReward(options));
  post('/v1/score/evaluation', postScoreEvaluation(options));
  post('/remote_rm', postRemoteReward(options));

  post('/get_sequence_logprobs', postSequenceLogprobs(options));

  app
    .route('/v2/models/*model')
    .get(getInference(options))
    .post(bodies.inference, postInfer(options))
    .all(methodNotAllowed('GET', 'POST'));
}

/** SGLang and vLLM have one path for two bodies. */
const eitherClassify =
  (sglang: RequestHandler, vllm: RequestHandler): RequestHandler =>
  (req, res, next) =>
    (isSglangClassify(req.body) ? sglang : vllm)(req, res, next);
