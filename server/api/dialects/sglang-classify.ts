// POST /classify, as SGLang has it: `text` or `input_ids`; one in, one object out, a list in, a list out. The scores are
// those that leave the model.
import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { clientSignal } from '../../../common/http.ts';
import { float32Text } from '../float32.ts';
import { parseBody } from '../schemas.ts';
import { sendJsonText } from '../send-text.ts';
import { list } from './fields.ts';
import { rewardPrompts } from './rewarded.ts';
import type { DialectOptions } from './scored.ts';
import { sglangPrompts } from './sglang-request.ts';

export const sglangClassifyRequest = z.object({
  model: z.string().nullish(),
  text: z.string().or(z.array(z.string())).nullish(),
  input_ids: list.nullish(),
});

/** vLLM's bodies have `input` or `messages` instead. */
export const isSglangClassify = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && ('text' in body || 'input_ids' in body);

export function postSglangClassify(options: DialectOptions): RequestHandler {
  return async function sglangClassify(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(sglangClassifyRequest, req.body);
    const { field, prompts, isList } = sglangPrompts(body);
    const request = { model: body.model, field, prompts };
    const { rewards } = await rewardPrompts(options, { req, res }, request, signal);
    const entries = rewards.map((values) => {
      const meta = JSON.stringify({ id: randomUUID() });
      return `{"embedding":[${Array.from(values, float32Text).join()}],"meta_info":${meta}}`;
    });
    await sendJsonText(res, [isList ? `[${entries.join()}]` : (entries[0] ?? 'null')], signal);
  };
}
