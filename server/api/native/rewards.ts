// POST /v1/rewards: the scores that a reward model gives to every row, at its last token, as they leave the model.
import type { RequestHandler } from 'express';
import { clientSignal } from '../../../common/http.ts';
import type { Column } from '../answer/columns.ts';
import { sendAnswer } from '../answer/send.ts';
import { describeLoaded, senderOf, setIdentity } from '../leased.ts';
import { requestedModel } from '../requested-model.ts';
import { type Rewarded, reward } from '../rewards.ts';
import { parseBody } from '../schemas.ts';
import type { NativeOptions } from './options.ts';
import { rewardsRequest } from './request.ts';
import { readSequences } from './sequences.ts';

export function postRewards(
  options: Pick<NativeOptions, 'lookup' | 'scoring' | 'threads'>,
): RequestHandler {
  const { lookup, scoring, threads } = options;
  return async function rewards(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(rewardsRequest, req.body);
    const { rows, paddedTokens } = readSequences(body);
    const model = await requestedModel(lookup, req.headers, body.model ?? undefined, signal);
    const pins = { revision: body.revision, tokenizerDigest: body.tokenizer_digest };
    const request = { model, field: 'input_ids', rows, ...senderOf(req), pins };
    const rewarded = await reward(scoring, request, signal);
    const { loaded, promptTokens } = rewarded;
    setIdentity(res, loaded);
    const { labels } = loaded.session;
    const rest = {
      ...(labels.length !== 1 && { labels }),
      pooling: 'last_token',
      ...describeLoaded(loaded),
      ...(typeof body.request_id === 'string' && { request_id: body.request_id }),
      usage: { prompt_tokens: promptTokens, padded_tokens: paddedTokens },
    };
    const answer = { offsets: new Int32Array(1), positions: [], rows: [columnOf(rewarded)], rest };
    await sendAnswer(req, res, { answer, threads, signal });
  };
}

export function columnOf({ loaded, rewards }: Rewarded): Column {
  const width = loaded.session.labels.length;
  const values = new Float32Array(rewards.length * width);
  for (const [r, scores] of rewards.entries()) values.set(scores, r * width);
  return { name: 'rewards', kind: 'Number', values, ...(width !== 1 && { width }) };
}
