// POST /generate and GET /get_model_info, as SGLang has them. One prompt in, one object out; a list in, a list out.
// Log-probs are raw, as SGLang's of a prompt are.
import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { clientSignal } from '../../../common/http.ts';
import { senderOf } from '../leased.ts';
import { requestedModel } from '../requested-model.ts';
import { parseBody } from '../schemas.ts';
import { sendJsonText } from '../send-text.ts';
import { nextToken, shownIds } from './candidates.ts';
import { type DialectOptions, scorePrompts } from './scored.ts';
import { chosenIds } from './sglang-chosen.ts';
import {
  type SglangWanted,
  sglangAsked,
  sglangPrompts,
  sglangRequest,
  sglangWanted,
} from './sglang-request.ts';
import { sglangText } from './sglang-text.ts';

export function postSglangGenerate(options: DialectOptions): RequestHandler {
  return async function sglangGenerate(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(sglangRequest, req.body);
    const { field, prompts, isList } = sglangPrompts(body);
    const wanted = sglangWanted(body, { count: prompts.length, isList }, options.limits);
    const of = (r: number) => wanted[r] ?? nothingWanted;
    const ask = (length: number, r: number) => sglangAsked(of(r), length, options.limits);
    const request = { model: body.model, field, prompts, ask };
    const { loaded, rows } = await scorePrompts(options, { req, res }, request, signal);
    const { texts, session } = loaded;
    const news = rows.map(({ values }, r) => (of(r).wantsNext ? [nextToken(values)] : []));
    const written = await texts.ofRows({ rows: news, skipSpecialTokens: true }, signal);
    const textOf = body.return_text_in_logprobs
      ? await texts.ofTokens(
          [
            ...shownIds(rows),
            ...wanted.flatMap(({ logprobs }) =>
              logprobs?.chosen ? chosenIds(logprobs.chosen) : [],
            ),
          ],
          signal,
        )
      : () => null;
    const shown = rows.map((row, r) => ({
      ...row,
      id: randomUUID(),
      text: written[r] ?? '',
      wanted: of(r),
    }));
    const view = { isList, weightVersion: session.identity.revision, textOf };
    await sendJsonText(res, sglangText(shown, view), signal);
  };
}

const nothingWanted: SglangWanted = {
  wantsNext: false,
  temperature: undefined,
  logprobs: undefined,
};

/** Loads the model: before, nobody knows what it can do. */
export function getModelInfo({ lookup, scoring }: DialectOptions): RequestHandler {
  return async function modelInfo(req, res) {
    const signal = clientSignal(res);
    const model = await requestedModel(lookup, req.headers, undefined, signal);
    using lease = await scoring.cache.acquire(model, signal, senderOf(req).requestId);
    const { identity } = lease.value.session;
    res.json({
      model_path: model.name,
      tokenizer_path: model.name,
      is_generation: identity.task === 'LogProbs',
      preferred_sampling_params: null,
      weight_version: identity.revision,
      model_type: identity.architecture,
    });
  };
}
