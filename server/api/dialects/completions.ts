// POST /v1/completions, as vLLM and OpenAI have it, for what trainers use it for: scores of a prompt, and at most one
// greedy token. Temperature is accepted and not applied to the scores, as vLLM does.
import { randomUUID } from 'node:crypto';
import type { RequestHandler, Response } from 'express';
import type { Clock } from '../../../common/clock.ts';
import { AppError } from '../../../common/errors.ts';
import { clientSignal } from '../../../common/http.ts';
import { callerHeader } from '../../contract.ts';
import type { LoadedModel } from '../../model/loaded.ts';
import { type Asked, positionsFrom } from '../../model/scoring.ts';
import { type Scoring, setIdentity } from '../leased.ts';
import { readPrompts, toRows } from '../prompts.ts';
import { type ModelLookup, requestedModel } from '../requested-model.ts';
import { countIds, rowLength } from '../rows.ts';
import { type CompletionsRequest, completionsRequest, parseBody } from '../schemas.ts';
import { type Scored, score } from '../score.ts';
import { sendJsonText } from '../send-text.ts';
import { nextToken, shownIds } from './candidates.ts';
import { type CompletionRow, type CompletionView, completionText } from './completion-text.ts';

/** Says that the values are those of the unscaled distribution, whatever temperature came. */
const temperatureHeader = 'x-refmodel-temperature';

export interface CompletionLimits {
  /** Most likely tokens per position. */
  maxTopLogprobs: number;
  /** Tokens × candidates of each, in one answer. */
  maxAnswerValues: number;
}

export interface CompletionsOptions {
  lookup: ModelLookup;
  scoring: Scoring;
  limits: CompletionLimits;
  clock: Clock;
}

export function postCompletions(options: CompletionsOptions): RequestHandler {
  const { lookup, scoring, limits } = options;
  return async function completions(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(completionsRequest, req.body);
    const view = readView(body, limits);
    const { prompts } = readPrompts('prompt', body.prompt, body.add_special_tokens ?? true);
    const model = await requestedModel(lookup, req.headers, body.model ?? undefined, signal);
    const rows = await toRows(scoring.cache, model, { field: 'prompt', prompts }, signal);
    checkAnswer(countIds(rows), view, limits);
    const request = { model, field: 'prompt', rows, caller: req.get(callerHeader) };
    const asked = rows.map((row) => ask(rowLength(row), view));
    const scored = await score(scoring, { ...request, asked }, signal);
    await answer(res, scored, { view, clock: options.clock, signal });
  };
}

function readView(body: CompletionsRequest, limits: CompletionLimits): CompletionView {
  const view = {
    echo: body.echo ?? false,
    wantsNext: body.max_tokens === 1,
    logprobs:
      typeof body.logprobs === 'boolean' ? Number(body.logprobs) || undefined : body.logprobs,
    promptLogprobs: body.prompt_logprobs,
  };
  for (const name of ['logprobs', 'prompt_logprobs'] as const) {
    if (Number(body[name] ?? 0) <= limits.maxTopLogprobs) continue;
    throw new AppError('INVALID_REQUEST', `reading ${name}: the limit is ${limits.maxTopLogprobs}`);
  }
  return {
    echo: view.echo,
    wantsNext: view.wantsNext,
    logprobs: view.logprobs ?? undefined,
    promptLogprobs: view.promptLogprobs ?? undefined,
  };
}

/** What the model has to compute for the view. */
function wants(view: CompletionView): { scoresPrompt: boolean; topK: number } {
  const { echo, logprobs, promptLogprobs } = view;
  const scoresPrompt = promptLogprobs !== undefined || (echo && logprobs !== undefined);
  const topK = Math.max(logprobs ?? 0, promptLogprobs ?? 0, 1);
  return { scoresPrompt, topK: scoresPrompt || logprobs !== undefined ? topK : 0 };
}

function ask(length: number, view: CompletionView): Asked {
  const { scoresPrompt, topK } = wants(view);
  const positions = positionsFrom(scoresPrompt ? 1 : length, length);
  return { positions, wantsNext: view.wantsNext, topK, wantsRanks: topK > 0 };
}

function checkAnswer(tokens: number, view: CompletionView, limits: CompletionLimits): void {
  const { scoresPrompt, topK } = wants(view);
  const values = scoresPrompt ? tokens * (topK + 1) : 0;
  if (values <= limits.maxAnswerValues) return;
  const message = `${tokens} tokens with ${topK} candidates each are more than ${limits.maxAnswerValues} values`;
  throw new AppError('BODY_TOO_LARGE', `the answer would be too large: ${message}`);
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
  setIdentity(res, loaded);
  res.setHeader(temperatureHeader, '1');
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
