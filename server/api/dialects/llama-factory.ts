// POST /v1/score/evaluation, as LLaMA-Factory's PPO asks its reward API: texts decoded with their special tokens.
import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { clientSignal } from '../../../common/http.ts';
import { shortest } from '../float32.ts';
import { readPrompts } from '../prompts.ts';
import { parseBody } from '../schemas.ts';
import { rewardPrompts, singleScores } from './rewarded.ts';
import type { DialectOptions } from './scored.ts';

export const scoreEvaluationRequest = z.object({
  model: z.string().nullish(),
  messages: z.array(z.string()),
  add_special_tokens: z.boolean().nullish(),
});

/** What its client writes as the name, whatever the model. */
const anyModel = 'model';

export function postScoreEvaluation(options: DialectOptions): RequestHandler {
  return async function scoreEvaluation(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(scoreEvaluationRequest, req.body);
    const model = body.model === anyModel ? undefined : body.model;
    const { prompts } = readPrompts('messages', body.messages, body.add_special_tokens ?? false);
    const request = { model, field: 'messages', prompts };
    const rewarded = await rewardPrompts(options, { req, res }, request, signal);
    const scores = singleScores(rewarded).map(shortest);
    res.json({
      id: `scoreval-${randomUUID()}`,
      object: 'score',
      model: rewarded.loaded.model.name,
      scores,
    });
  };
}
