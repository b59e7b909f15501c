// POST /get_reward, as OpenRLHF's remote reward models have it: texts decoded with their special tokens, so none is added.
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { clientSignal } from '../../../common/http.ts';
import { shortest } from '../float32.ts';
import { readPrompts } from '../prompts.ts';
import { parseBody } from '../schemas.ts';
import { rewardPrompts, singleScores } from './rewarded.ts';
import type { DialectOptions } from './scored.ts';

/** `prompts` and `labels` come too; a model has no use for them. */
export const getRewardRequest = z.object({
  model: z.string().nullish(),
  query: z.string().or(z.array(z.string())),
  add_special_tokens: z.boolean().nullish(),
});

export function postGetReward(options: DialectOptions): RequestHandler {
  return async function getReward(req, res) {
    const signal = clientSignal(res);
    const { model, query, add_special_tokens: adds } = parseBody(getRewardRequest, req.body);
    const { prompts } = readPrompts('query', query, adds ?? false);
    const request = { model, field: 'query', prompts };
    const rewards = singleScores(await rewardPrompts(options, { req, res }, request, signal));
    res.json({ rewards: rewards.map(shortest), scores: rewards.map(shortest), extra_logs: {} });
  };
}
