// What the routes take, as an OpenAPI document: made of the schemas that check them. Pure.
import { z } from 'zod';
import { errorKinds } from '../../common/errors.ts';
import { mediaTypes } from './answer/binary.ts';
import { completionsRequest } from './dialects/completions.ts';
import { inferenceRequest } from './dialects/inference-generate.ts';
import { scoreEvaluationRequest } from './dialects/llama-factory.ts';
import { getRewardRequest } from './dialects/openrlhf.ts';
import { sglangRequest } from './dialects/sglang-request.ts';
import { remoteRewardRequest } from './dialects/slime.ts';
import { sequenceLogprobsRequest } from './dialects/trl-sequence-logprobs.ts';
import { poolingRequest } from './dialects/vllm-pooling.ts';
import { computeRequest, logprobsRequest, rewardsRequest } from './native/request.ts';

interface Route {
  readonly summary: string;
  readonly request: z.ZodObject;
  /** The formats of its bodies. */
  readonly types: readonly string[];
}

const json = [mediaTypes.json];
const all = Object.values(mediaTypes);

export const routes: Readonly<Record<string, Route>> = {
  '/v1/logprobs': { summary: 'Log-probabilities of tokens', request: logprobsRequest, types: all },
  '/v1/rewards': { summary: 'Scores of rows', request: rewardsRequest, types: all },
  '/compute_log_probs': { summary: 'As /v1/logprobs', request: computeRequest, types: all },
  '/compute_rewards': { summary: 'As /v1/rewards', request: computeRequest, types: all },
  '/v1/completions': { summary: 'As vLLM and OpenAI', request: completionsRequest, types: json },
  '/inference/v1/generate': { summary: 'As vLLM', request: inferenceRequest, types: json },
  '/generate': { summary: 'As SGLang', request: sglangRequest, types: json },
  '/pooling': { summary: 'As vLLM', request: poolingRequest, types: json },
  '/get_reward': { summary: 'As OpenRLHF', request: getRewardRequest, types: json },
  '/v1/score/evaluation': {
    summary: 'As LLaMA-Factory',
    request: scoreEvaluationRequest,
    types: json,
  },
  '/remote_rm': { summary: 'As slime', request: remoteRewardRequest, types: json },
  '/get_sequence_logprobs': {
    summary: 'As older TRL',
    request: sequenceLogprobsRequest,
    types: json,
  },
};

export function openApiDocument(): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'refmodel',
      version: '1',
      description:
        'Scores of frozen models for reinforcement learning. A body in binary has the fields of the JSON body: ' +
        'tensors for lists, metadata or parameters for the others.',
    },
    paths: Object.fromEntries(
      Object.entries(routes).map(([path, route]) => [path, { post: operation(path, route) }]),
    ),
    components: { schemas: { Error: errorSchema() } },
  };
}

function operation(path: string, { summary, request, types }: Route): object {
  const content = (schema: object) =>
    Object.fromEntries(types.map((type) => [type, typed(type, schema)]));
  return {
    operationId: path.replace(/\W+/g, '_').replace(/^_/, ''),
    summary,
    requestBody: { required: true, content: content(requestSchema(request)) },
    responses: {
      200: { description: 'The answer.', content: content({ type: 'object' }) },
      ...Object.fromEntries(statuses.map((status) => [status, errorAnswer(status)])),
    },
  };
}

const typed = (type: string, schema: object): object =>
  type === mediaTypes.json ? { schema } : { schema: { type: 'string', format: 'binary' } };

/** Token ids and the like are checked by hand: a custom schema says in its meta what JSON has there. */
export function requestSchema(request: z.ZodType): object {
  const { $schema: _, ...schema } = z.toJSONSchema(request, {
    target: 'draft-2020-12',
    io: 'input',
    reused: 'inline',
    unrepresentable: 'any',
  });
  return schema;
}

const statuses = [
  ...new Set(Object.values(errorKinds).map(({ status }) => String(status))),
].toSorted((a, b) => a.localeCompare(b));

function errorAnswer(status: string): object {
  const codes = Object.entries(errorKinds).flatMap(([code, kind]) =>
    String(kind.status) === status ? [code] : [],
  );
  return {
    description: codes.join(', '),
    content: { [mediaTypes.json]: { schema: { $ref: '#/components/schemas/Error' } } },
  };
}

function errorSchema(): object {
  const codes = Object.keys(errorKinds);
  const text = { type: 'string' };
  const properties = { code: { enum: codes }, message: text, type: text, request_id: text };
  return {
    type: 'object',
    required: ['error'],
    properties: {
      error: { type: 'object', required: ['code', 'message', 'type'], properties },
    },
  };
}
