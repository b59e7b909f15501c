// vLLM's /tokenize, /detokenize and /tokenizer_info: a client needs no tokenizer of its own.
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { clientSignal } from '../../../common/http.ts';
import { type Scoring, senderOf, setIdentity } from '../leased.ts';
import { toIds } from '../prompts.ts';
import { type ModelLookup, requestedModel } from '../requested-model.ts';
import { readRows, toTokens } from '../rows.ts';
import { parseBody } from '../schemas.ts';
import { sendJsonText } from '../send-text.ts';
import { chatFields, chatPrompt } from './chat.ts';
import { ids } from './fields.ts';

type Cache = Scoring['cache'];

const model = z.string().nullish();
const asChat = z.object({ ...chatFields, model, return_token_strs: z.boolean().nullish() });
const asText = z.object({
  model,
  prompt: z.string('expected a text, or messages'),
  add_special_tokens: z.boolean().nullish(),
  return_token_strs: z.boolean().nullish(),
});
export const tokenizeRequest = asText.or(asChat);
export const detokenizeRequest = z.object({ model, tokens: ids });

export function postTokenize(lookup: ModelLookup, cache: Cache): RequestHandler {
  return async function tokenize(req, res) {
    const signal = clientSignal(res);
    const { name, prompt, showsNames } = readTokenize(req.body);
    const model = await requestedModel(lookup, req.headers, name, signal);
    using lease = await cache.acquire(model, signal, senderOf(req).requestId);
    const { maxSequenceTokens, texts } = lease.value;
    const [tokens = []] = await toIds(lease.value, [prompt], signal);
    const ids = Array.from(tokens, Number);
    setIdentity(res, lease.value);
    const answer = {
      count: ids.length,
      max_model_len: maxSequenceTokens,
      tokens: ids,
      token_strs: showsNames ? await texts.call('names', { ids }, signal) : null,
    };
    await sendJsonText(res, [JSON.stringify(answer)], signal);
  };
}

function readTokenize(value: unknown) {
  if (typeof value === 'object' && value !== null && 'messages' in value) {
    const body = parseBody(asChat, value);
    const prompt = chatPrompt(body, { generates: true });
    return { name: body.model ?? undefined, prompt, showsNames: body.return_token_strs ?? false };
  }
  const body = parseBody(asText, value);
  const prompt = { text: body.prompt, addSpecialTokens: body.add_special_tokens ?? true };
  return { name: body.model ?? undefined, prompt, showsNames: body.return_token_strs ?? false };
}

export function postDetokenize(lookup: ModelLookup, cache: Cache): RequestHandler {
  return async function detokenize(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(detokenizeRequest, req.body);
    const model = await requestedModel(lookup, req.headers, body.model ?? undefined, signal);
    using lease = await cache.acquire(model, signal, senderOf(req).requestId);
    const { maxSequenceTokens, session, texts } = lease.value;
    const limits = { vocabularySize: session.vocabularySize, maxSequenceTokens };
    const [tokens = []] = toTokens('tokens', readRows('tokens', [body.tokens]), limits);
    const rows = [Array.from(tokens)];
    const [prompt] = await texts.call('decode', { rows, skipSpecialTokens: false }, signal);
    setIdentity(res, lease.value);
    await sendJsonText(res, [JSON.stringify({ prompt })], signal);
  };
}

/** tokenizer_config.json of the checkpoint, and its chat template. */
export function getTokenizerInfo(lookup: ModelLookup, cache: Cache): RequestHandler {
  return async function tokenizerInfo(req, res) {
    const signal = clientSignal(res);
    const model = await requestedModel(lookup, req.headers, undefined, signal);
    using lease = await cache.acquire(model, signal, senderOf(req).requestId);
    setIdentity(res, lease.value);
    res.json(await lease.value.texts.call('describe', {}, signal));
  };
}
