// Every route of a server, with the schema of what it takes. A test holds the list to the routes that the app has.
import type { z } from 'zod';
import { mediaTypes, standingAnswer, standingPaths } from '../../contract.ts';
import { completionsRequest } from '../dialects/completions.ts';
import { inferenceRequest } from '../dialects/inference-generate.ts';
import { scoreEvaluationRequest } from '../dialects/llama-factory.ts';
import { getRewardRequest } from '../dialects/openrlhf.ts';
import { sglangClassifyRequest } from '../dialects/sglang-classify.ts';
import { sglangRequest } from '../dialects/sglang-request.ts';
import { remoteRewardRequest } from '../dialects/slime.ts';
import { detokenizeRequest, tokenizeRequest } from '../dialects/tokenize.ts';
import { sequenceLogprobsRequest } from '../dialects/trl-sequence-logprobs.ts';
import { poolingChatRequest, poolingRequest } from '../dialects/vllm-pooling.ts';
import { computeRequest, logprobsRequest, rewardsRequest } from '../native/request.ts';
import { oipHeader } from '../wire/oip-body.ts';

export const methods = ['get', 'post', 'put', 'delete'] as const;
export type Method = (typeof methods)[number];

export interface Operation {
  readonly summary: string;
  /** What a body has in JSON; absent: there is none. */
  readonly request?: z.ZodType;
  /** Formats of the body and of the answer. Default: JSON. */
  readonly types?: readonly string[];
}

export type Routes = Readonly<Record<string, Readonly<Partial<Record<Method, Operation>>>>>;

const all = Object.values(mediaTypes);
const text = ['text/plain'];

const get = (summary: string, types?: readonly string[]) => ({ get: { summary, types } });
const post = (summary: string, request: z.ZodType, types?: readonly string[]) => ({
  post: { summary, request, types },
});

const pooling = poolingRequest.or(poolingChatRequest);
const classify = post(
  'As vLLM, or as SGLang with text or input_ids',
  pooling.or(sglangClassifyRequest),
);

const native: Routes = {
  '/v1/logprobs': post('Log-probabilities of tokens', logprobsRequest, all),
  '/v1/rewards': post('Scores of rows', rewardsRequest, all),
  '/compute_log_probs': post('As /v1/logprobs, under older names', computeRequest, all),
  '/compute_rewards': post('As /v1/rewards, under older names', computeRequest, all),
};

const dialects: Routes = {
  '/v1/models': get('As OpenAI'),
  '/v1/completions': post('As vLLM and OpenAI', completionsRequest),
  '/inference/v1/generate': post('As vLLM', inferenceRequest),
  '/tokenize': post('As vLLM', tokenizeRequest),
  '/detokenize': post('As vLLM', detokenizeRequest),
  '/tokenizer_info': get('As vLLM'),
  '/generate': post('As SGLang', sglangRequest),
  '/get_model_info': get('As SGLang'),
  '/classify': classify,
  '/v1/classify': classify,
  '/pooling': post('As vLLM', pooling),
  '/v1/embeddings': post('As vLLM and SGLang', pooling),
  '/get_reward': post('As OpenRLHF', getRewardRequest),
  '/v1/score/evaluation': post('As LLaMA-Factory', scoreEvaluationRequest),
  '/remote_rm': post('As slime', remoteRewardRequest),
  '/get_sequence_logprobs': post('As TRL before 1.13', sequenceLogprobsRequest),
};

const standing = (path: string) =>
  get('Whatever sleeps', typeof standingAnswer(path) === 'string' ? text : undefined);

const inference = (prefix: string): Routes => ({
  [prefix]: get('As the Open Inference Protocol: what the model takes and gives'),
  [`${prefix}/ready`]: get('As the Open Inference Protocol'),
  [`${prefix}/infer`]: post('As the Open Inference Protocol', oipHeader, [
    mediaTypes.json,
    mediaTypes.oip,
  ]),
});

const cached: Routes[string] = {
  get: { summary: 'The model in the cache' },
  put: { summary: 'Loads the model' },
  delete: { summary: 'Drops the model' },
};

const pod: Routes = {
  '/openapi.json': get('This document'),
  '/cache': { ...get('What is in the cache'), delete: { summary: 'Drops every model' } },
  '/cache/{name}': cached,
  '/cache/{namespace}/{name}': cached,
  '/state': get('Of the pod, for gateways'),
  '/healthz': get('The process lives', text),
  '/readyz': get('The process takes work', text),
  '/metrics': get('For Prometheus', text),
};

export const routes: Routes = {
  ...native,
  ...dialects,
  ...Object.fromEntries(standingPaths.map((path) => [path, standing(path)])),
  ...inference('/v2/models/{model}'),
  ...inference('/v2/models/{model}/versions/{version}'),
  ...pod,
};
