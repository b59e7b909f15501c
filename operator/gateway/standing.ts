// Answers that need no pod: the list of models, and the cache of a pool that sleeps. Pure.
import { AppError } from '../../common/errors.ts';
import { readInferencePath, standingAnswer } from '../../server/contract.ts';
import type { GatewayModel } from './backend.ts';

/**
 * Scoring and loading are worth a cold start, and keep a model awake, and so is what clients ask about a model before
 * they score. Looking is not: else whoever watches the cache would pay for it.
 */
export const isWork = (method: string, path: string): boolean =>
  method === 'POST' || method === 'PUT' || (isRead(method) && isQuestion(path));

export const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD';

const isQuestion = (path: string): boolean =>
  /^\/(tokenizer_info|get_model_info|openapi\.json)\/?$/.test(path) ||
  readInferencePath(path) !== undefined;

/** What the path answers whatever sleeps: `standingAnswer`, and that a model is ready, since a request will be answered. */
export function answerStanding(
  path: string,
  model: GatewayModel | undefined,
): string | object | undefined {
  if (/^\/healthz\/?$/.test(path)) return 'ok\n';
  if (readInferencePath(path)?.verb !== 'ready' || !model) return standingAnswer(path);
  return { name: model.key, ready: model.acceptance.state !== 'Refused' };
}

/** `GET /v1/models` (OpenAI API), with the `max_model_len` that vLLM clients read. */
export function listModels(models: readonly GatewayModel[]): object {
  const shown = models.filter(({ acceptance }) => acceptance.state !== 'Refused');
  return {
    object: 'list',
    data: shown.map(({ key, maxSequenceTokens }) => ({
      id: key,
      object: 'model',
      created: 0,
      owned_by: 'refmodel',
      max_model_len: maxSequenceTokens,
    })),
  };
}

/**
 * What a pod that has just started would say, without starting one: its cache is empty.
 * Throws NOT_CACHED for one model of it, ROUTE_NOT_FOUND for everything else.
 */
export function answerWhileAsleep(method: string, path: string, model: GatewayModel): object {
  const isCache = /^\/cache\/?$/.test(path);
  if (isCache && (method === 'GET' || method === 'HEAD')) {
    return { num_models: 0, max_models: model.maxModels, models: [] };
  }
  if (isCache && method === 'DELETE') return { removed: [] };
  if (path.startsWith('/cache/')) {
    throw new AppError('NOT_CACHED', `${model.key} is not in the cache: no pod of its pool runs`);
  }
  throw new AppError('ROUTE_NOT_FOUND', `no route ${method} ${path} while no pod runs`);
}
