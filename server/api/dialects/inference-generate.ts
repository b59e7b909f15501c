// POST /inference/v1/generate: vLLM's route of token ids in and token ids out, as prime-rl and SkyRL ask it for scores of
// one sequence. It shows no text, so it needs no tokenizer.
import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { clientSignal } from '../../../common/http.ts';
import { positionsFrom } from '../../model/scoring.ts';
import { logprobText } from '../float32.ts';
import { parseBody, temperature } from '../schemas.ts';
import { sendJsonText } from '../send-text.ts';
import {
  type Candidate,
  type CandidateRow,
  candidates,
  nextToken,
  promptLogprobsText,
} from './candidates.ts';
import { oneToken } from './completions.ts';
import { ids } from './fields.ts';
import { checkTop } from './limits.ts';
import { type DialectOptions, scorePrompts } from './scored.ts';

export const inferenceRequest = z.object({
  model: z.string().nullish(),
  request_id: z.string().nullish(),
  token_ids: ids,
  stream: z.literal(false, 'streaming is not supported').nullish(),
  sampling_params: z.object({
    max_tokens: oneToken,
    n: z.literal(1, 'only 1 is supported').nullish(),
    logprobs: z.int().min(0).nullish(),
    prompt_logprobs: z.int().min(0).nullish(),
    prompt_logprobs_temperature: temperature.nullish(),
  }),
});

interface View {
  id: string;
  wantsNext: boolean;
  logprobs: number | undefined;
  promptLogprobs: number | undefined;
}

export function postInferenceGenerate(options: DialectOptions): RequestHandler {
  return async function inferenceGenerate(req, res) {
    const signal = clientSignal(res);
    const {
      model,
      request_id: id,
      token_ids,
      sampling_params,
    } = parseBody(inferenceRequest, req.body);
    const { prompt_logprobs_temperature: temperature } = sampling_params;
    const view: View = {
      id: id ?? randomUUID(),
      wantsNext: sampling_params.max_tokens === 1,
      logprobs: sampling_params.logprobs ?? undefined,
      promptLogprobs: sampling_params.prompt_logprobs ?? undefined,
    };
    checkTop('logprobs', view.logprobs, options.limits);
    checkTop('prompt_logprobs', view.promptLogprobs, options.limits);
    const ask = (length: number) => ({
      positions: positionsFrom(view.promptLogprobs === undefined ? length : 1, length),
      wantsNext: view.wantsNext,
      topK: Math.max(view.promptLogprobs ?? 0, view.logprobs ?? 0),
      wantsRanks: true,
      ...(temperature && { temperature }),
    });
    const request = { model, field: 'token_ids', prompts: [token_ids], ask };
    const { rows } = await scorePrompts(options, { req, res }, request, signal);
    const [row] = rows;
    if (row) await sendJsonText(res, answer(row, view), signal);
  };
}

function* answer(row: CandidateRow, view: View): Generator<string> {
  const ids = view.wantsNext ? [nextToken(row.values)] : [];
  const logprobs =
    view.wantsNext && view.logprobs !== undefined ? nextText(row, view.logprobs) : null;
  yield `{"request_id":${JSON.stringify(view.id)},"choices":[{"index":0,"logprobs":${logprobs}`;
  yield `,"finish_reason":"length","token_ids":[${ids.join()}]}],"prompt_logprobs":`;
  if (view.promptLogprobs === undefined) yield 'null';
  else yield* promptLogprobsText(row, view.promptLogprobs, () => null);
  yield ',"kv_transfer_params":null}';
}

/** In the shape of chat log-probs, with ids for texts. */
function nextText({ values }: CandidateRow, k: number): string {
  const at = values.logprobs.length - 1;
  const entries = candidates(values, at, nextToken(values), k);
  const top = entries.slice(0, k).map((entry) => `{${tokenText(entry)}}`);
  const [own] = entries;
  return `{"content":[{${own ? tokenText(own) : ''},"top_logprobs":[${top.join()}]}]}`;
}

const tokenText = ({ id, logprob }: Candidate) =>
  `"token":"token_id:${id}","logprob":${logprobText(logprob)},"bytes":null`;
