// POST /remote_rm, as slime asks its remote reward model: one sample in, one number out.
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { clientSignal } from '../../../common/http.ts';
import { float32Text } from '../float32.ts';
import type { Prompt } from '../prompts.ts';
import { parseBody } from '../schemas.ts';
import { chatFields, chatPrompt } from './chat.ts';
import { rewardPrompts, singleScores } from './rewarded.ts';
import type { DialectOptions } from './scored.ts';

/** `label` comes too; a model has no use for it. */
export const remoteRewardRequest = z.object({
  model: z.string().nullish(),
  prompt: z.string().or(chatFields.messages),
  response: z.string(),
  add_special_tokens: z.boolean().nullish(),
});
type RemoteRewardRequest = z.output<typeof remoteRewardRequest>;

export function postRemoteReward(options: DialectOptions): RequestHandler {
  return async function remoteReward(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(remoteRewardRequest, req.body);
    const request = { model: body.model, field: 'prompt', prompts: [promptOf(body)] };
    const [score = Number.NaN] = singleScores(
      await rewardPrompts(options, { req, res }, request, signal),
    );
    res.type('application/json').send(float32Text(score));
  };
}

/** Messages have an answer opened for them by the template, text has what its maker wrote. */
function promptOf(body: RemoteRewardRequest): Prompt {
  const { prompt, response, add_special_tokens: adds } = body;
  if (typeof prompt === 'string') {
    return { text: prompt + response, addSpecialTokens: adds ?? true };
  }
  const chat = chatPrompt({ messages: prompt, add_special_tokens: adds }, { generates: true });
  return { ...chat, answer: response };
}
