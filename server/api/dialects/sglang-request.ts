// What a request to SGLang's /generate asks of each of its prompts. Pure.

import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { type Asked, positionsFrom } from '../../model/scoring.ts';
import { type Prompt, readPrompts } from '../prompts.ts';
import { temperature } from '../schemas.ts';
import { oneToken } from './completions.ts';
import { list, numbers } from './fields.ts';
import { type AnswerLimits, checkTop, checkValues } from './limits.ts';
import {
  type ChosenTokens,
  candidatesOf,
  chosenWidth,
  invalidField,
  perToken,
  readChosen,
  tokenIds,
} from './sglang-chosen.ts';

/** One for all prompts, or a list with one for each. */
const perPrompt = <T extends z.ZodType>(value: T) => value.or(numbers(z.array(value))).nullish();
const samplingParams = z.object({
  max_new_tokens: oneToken,
  n: z.literal(1, 'only 1 is supported').nullish(),
  prompt_logprobs_temperature: temperature.nullish(),
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
  token_ids_logprob_positions: perToken.or(z.array(perToken)).nullish(),
  return_text_in_logprobs: z.boolean().nullish(),
  stream: z.literal(false, 'streaming is not supported').nullish(),
});
type SglangRequest = z.output<typeof sglangRequest>;

/** What is asked of one prompt. */
export interface SglangWanted {
  wantsNext: boolean;
  temperature: number | undefined;
  /** Unset: no log-probs at all. */
  logprobs: { startLength: number; topK: number; chosen: ChosenTokens | undefined } | undefined;
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
  { count, isList }: { count: number; isList: boolean },
  limits: AnswerLimits,
): SglangWanted[] {
  const params = spread('sampling_params', body.sampling_params, count);
  const logprob = spread('return_logprob', body.return_logprob, count);
  const startLength = spread('logprob_start_len', body.logprob_start_len, count);
  const topK = spread('top_logprobs_num', body.top_logprobs_num, count);
  const tokens = readChosen(body, { count, isList });
  return params.map((sampling, r) => {
    checkTop('top_logprobs_num', topK[r], limits);
    const chosen = tokens[r];
    checkTop('token_ids_logprob', chosen && chosenWidth(chosen), limits);
    const logprobs = {
      startLength: startLength[r] ?? -1,
      topK: topK[r] ?? 0,
      chosen,
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

/** Throws INVALID_REQUEST, or BODY_TOO_LARGE before it makes room for what is asked. */
export function sglangAsked(
  { wantsNext, temperature, logprobs }: SglangWanted,
  length: number,
  limits: AnswerLimits,
): Asked {
  const first = firstPosition(logprobs?.startLength ?? -1, length);
  if (first > length) {
    const message = `reading logprob_start_len: ${first} is behind the ${length} tokens of the prompt`;
    throw new AppError('INVALID_REQUEST', message);
  }
  const positions = positionsFrom(first + 1, length);
  const { topK = 0, chosen } = logprobs ?? {};
  if (chosen) checkValues(positions.length, topK + chosenWidth(chosen), limits);
  return {
    positions,
    wantsNext,
    topK,
    ...(temperature !== undefined && { temperature }),
    ...(chosen && candidatesOf(chosen, positions, length)),
  };
}

function spread<T>(
  name: string,
  value: T | T[] | null | undefined,
  count: number,
): (T | undefined)[] {
  if (!Array.isArray(value)) return Array.from({ length: count }, () => value ?? undefined);
  if (value.length === count) return value;
  throw invalidField(name, `${value.length} values for ${count} prompts`);
}
