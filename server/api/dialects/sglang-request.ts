// What a request to SGLang's /generate asks of each of its prompts. Pure.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { type Asked, positionsFrom } from '../../model/scoring.ts';
import { type Prompt, readPrompts } from '../prompts.ts';
import { oneToken } from './completions.ts';
import { list, numbers } from './fields.ts';
import { type AnswerLimits, checkTop } from './limits.ts';

/** One for all prompts, or a list with one for each. */
const perPrompt = <T extends z.ZodType>(value: T) => value.or(numbers(z.array(value))).nullish();
const tokenIds = numbers(z.array(z.int().min(0)));

const samplingParams = z.object({
  max_new_tokens: oneToken,
  n: z.literal(1, 'only 1 is supported').nullish(),
  prompt_logprobs_temperature: z.number().positive().nullish(),
});

export const sglangRequest = z.object({
  model: z.string().nullish(),
  text: z.string().or(z.array(z.string())).nullish(),
  input_ids: list.nullish(),
  sampling_params: perPrompt(samplingParams),
  return_logprob: perPrompt(z.boolean()),
  logprob_start_len: perPrompt(z.int().min(-1)),
  top_logprobs_num: perPrompt(z.int().min(0)),
  token_ids_logprob: tokenIds.or(z.array(tokenIds)).nullish(),
  return_text_in_logprobs: z.boolean().nullish(),
  stream: z.literal(false, 'streaming is not supported').nullish(),
});
type SglangRequest = z.output<typeof sglangRequest>;

/** What is asked of one prompt. */
export interface SglangWanted {
  wantsNext: boolean;
  temperature: number | undefined;
  /** Unset: no log-probs at all. */
  logprobs:
    | { startLength: number; topK: number; tokenIds: readonly number[] | undefined }
    | undefined;
}

/** Either `text` or `input_ids`. */
export function sglangPrompts({ text, input_ids: ids }: SglangRequest): {
  field: string;
  prompts: Prompt[];
  isList: boolean;
} {
  const field = text ? 'text' : 'input_ids';
  const value = text ?? ids;
  if (value === null || value === undefined || (text && ids)) {
    throw new AppError('INVALID_REQUEST', 'reading the body: send text or input_ids, one of them');
  }
  return { field, ...readPrompts(field, value, true) };
}

export function sglangWanted(
  body: SglangRequest,
  count: number,
  limits: AnswerLimits,
): SglangWanted[] {
  const params = spread('sampling_params', body.sampling_params, count);
  const logprob = spread('return_logprob', body.return_logprob, count);
  const startLength = spread('logprob_start_len', body.logprob_start_len, count);
  const topK = spread('top_logprobs_num', body.top_logprobs_num, count);
  const ids = idsOf(body.token_ids_logprob, count);
  return params.map((sampling, r) => {
    checkTop('top_logprobs_num', topK[r], limits);
    checkTop('token_ids_logprob', ids[r]?.length, limits);
    const logprobs = {
      startLength: startLength[r] ?? -1,
      topK: topK[r] ?? 0,
      tokenIds: ids[r],
    };
    return {
      wantsNext: sampling?.max_new_tokens === 1,
      temperature: sampling?.prompt_logprobs_temperature ?? undefined,
      logprobs: logprob[r] ? logprobs : undefined,
    };
  });
}

/** Position of the first entry of the lists: it has no value, as nothing is scored before it. */
export const firstPosition = (startLength: number, length: number): number =>
  startLength < 0 ? length - 1 : startLength;

export function sglangAsked(
  { wantsNext, temperature, logprobs }: SglangWanted,
  length: number,
): Asked {
  const first = firstPosition(logprobs?.startLength ?? -1, length);
  if (first > length) {
    const message = `reading logprob_start_len: ${first} is behind the ${length} tokens of the prompt`;
    throw new AppError('INVALID_REQUEST', message);
  }
  const positions = positionsFrom(first + 1, length);
  const { topK = 0, tokenIds } = logprobs ?? {};
  return {
    positions,
    wantsNext,
    topK,
    ...(temperature !== undefined && { temperature }),
    ...(tokenIds?.length && { candidates: everywhere(tokenIds, positions.length) }),
  };
}

function everywhere(tokenIds: readonly number[], positions: number) {
  const width = tokenIds.length;
  const ids = Int32Array.from({ length: positions * width }, (_, i) => tokenIds[i % width] ?? -1);
  return { ids, width };
}

function spread<T>(
  name: string,
  value: T | T[] | null | undefined,
  count: number,
): (T | undefined)[] {
  if (!Array.isArray(value)) return Array.from({ length: count }, () => value ?? undefined);
  if (value.length === count) return value;
  const message = `reading ${name}: ${value.length} values for ${count} prompts`;
  throw new AppError('INVALID_REQUEST', message);
}

/** A flat list of ids is one for all prompts, not one id for each. */
function idsOf(lists: number[] | number[][] | null | undefined, count: number) {
  const flat = lists?.filter((id) => typeof id === 'number') ?? [];
  const isFlat = flat.length === lists?.length;
  if (isFlat) return Array.from({ length: count }, () => flat);
  const nested = lists?.filter((ids) => typeof ids !== 'number');
  return spread('token_ids_logprob', nested, count);
}
