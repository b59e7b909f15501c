// POST /v1/completions, as vLLM and OpenAI have it, for what trainers use it for: scores of a prompt, and at most one
// greedy token. `temperature` steers sampling, and is not applied to scores, as in vLLM; `prompt_logprobs_temperature` is.
import { randomUUID } from 'node:crypto';
import type { RequestHandler, Response } from 'express';
import { z } from 'zod';
import type { Clock } from '../../../common/clock.ts';
import { clientSignal } from '../../../common/http.ts';
import type { LoadedModel } from '../../model/loaded.ts';
import { type Asked, positionsFrom } from '../../model/scoring.ts';
import { readPrompts } from '../prompts.ts';
import { parseBody, temperature } from '../schemas.ts';
import type { Scored } from '../score.ts';
import { sendJsonText } from '../send-text.ts';
import { nextToken, shownIds } from './candidates.ts';
import { type CompletionRow, type CompletionView, completionText } from './completion-text.ts';
import { list } from './fields.ts';
import { type AnswerLimits, checkTop } from './limits.ts';
import { type DialectOptions, scorePrompts } from './scored.ts';

/** At most one token is generated. */
export const oneToken = z
  .int()
  .min(0)
  .max(1, 'this server scores, it does not generate: 0 or 1')
  .nullish();

/** What only steers sampling is accepted and not applied, temperature among it. */
export const completionsRequest = z.object({
  model: z.string().nullish(),
  prompt: list.or(z.string()),
  max_tokens: oneToken,
  n: z.literal(1, 'only 1 is supported').nullish(),
  stream: z.literal(false, 'streaming is not supported').nullish(),
  echo: z.boolean().nullish(),
  add_special_tokens: z.boolean().nullish(),
  logprobs: z.union([z.boolean(), z.int().min(0)]).nullish(),
  prompt_logprobs: z.int().min(0).nullish(),
  prompt_logprobs_temperature: temperature.nullish(),
});
type CompletionsRequest = z.output<typeof completionsRequest>;

export function postCompletions(options: DialectOptions): RequestHandler {
  return async function completions(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(completionsRequest, req.body);
    const { model, prompt_logprobs_temperature: temperature } = body;
    const view = readView(body, options.limits);
    const { prompts } = readPrompts('prompt', body.prompt, body.add_special_tokens ?? true);
    const ask = (length: number) => ({
      ...asked(length, view),
      ...(temperature && { temperature }),
    });
    const request = { model, field: 'prompt', prompts, ask };
    const scored = await scorePrompts(options, { req, res }, request, signal);
    await answer(res, scored, { view, clock: options.clock, signal });
  };
}

function readView(body: CompletionsRequest, limits: AnswerLimits): CompletionView {
  const logprobs =
    typeof body.logprobs === 'boolean' ? Number(body.logprobs) || undefined : body.logprobs;
  checkTop('logprobs', logprobs ?? undefined, limits);
  checkTop('prompt_logprobs', body.prompt_logprobs ?? undefined, limits);
  return {
    echo: body.echo ?? false,
    wantsNext: body.max_tokens === 1,
    logprobs: logprobs ?? undefined,
    promptLogprobs: body.prompt_logprobs ?? undefined,
  };
}

/** What the model has to compute for the view. */
function asked(
  length: number,
  { echo, wantsNext, logprobs, promptLogprobs }: CompletionView,
): Asked {
  const scoresPrompt = promptLogprobs !== undefined || (echo && logprobs !== undefined);
  const topK =
    scoresPrompt || logprobs !== undefined ? Math.max(logprobs ?? 0, promptLogprobs ?? 0, 1) : 0;
  const positions = positionsFrom(scoresPrompt ? 1 : length, length);
  return { positions, wantsNext, topK, wantsRanks: topK > 0 };
}

async function answer(
  res: Response,
  { loaded, rows, usage }: Scored,
  { view, clock, signal }: { view: CompletionView; clock: Clock; signal: AbortSignal },
): Promise<void> {
  const textOf = await loaded.texts.ofTokens(shownIds(rows), signal);
  const shown = await withTexts(loaded, rows, view, signal);
  const completionTokens = view.wantsNext ? rows.length : 0;
  const head = {
    id: `cmpl-${randomUUID()}`,
    created: Math.floor(clock.now() / 1000),
    model: loaded.model.name,
    usage: {
      prompt_tokens: usage.promptTokens,
      completion_tokens: completionTokens,
      total_tokens: usage.promptTokens + completionTokens,
    },
  };
  await sendJsonText(res, completionText(head, shown, view, textOf), signal);
}

/** What `text` of each answer shows: the prompt if it is to be echoed, and the new token. */
async function withTexts(
  { texts }: LoadedModel,
  rows: Scored['rows'],
  { echo, wantsNext }: CompletionView,
  signal: AbortSignal,
): Promise<CompletionRow[]> {
  const prompts = rows.map(({ tokens }) => (echo ? Array.from(tokens) : []));
  const news = rows.map(({ values }) => (wantsNext ? [nextToken(values)] : []));
  const before = await texts.ofRows({ rows: prompts, skipSpecialTokens: false }, signal);
  const after = await texts.ofRows({ rows: news, skipSpecialTokens: true }, signal);
  return rows.map((row, i) => ({ ...row, text: `${before[i] ?? ''}${after[i] ?? ''}` }));
}
