// POST /v1/rewards: the scores that a reward model gives to every row, at its last token, as they leave the model.
import type { RequestHandler } from 'express';
import { clientSignal } from '../../common/http.ts';
import { callerHeader } from '../contract.ts';
import type { LoadedModel } from '../model/loaded.ts';
import { float32Text } from './float32.ts';
import {
  describeLoaded,
  notANumber,
  type RowsRequest,
  type Scoring,
  setIdentity,
  taskMismatch,
  withModel,
} from './leased.ts';
import { type ModelLookup, requestedModel } from './requested-model.ts';
import { countIds, readRows } from './rows.ts';
import { parseBody, rowsRequest } from './schemas.ts';
import { sendJsonText } from './send-text.ts';

export function postRewards(lookup: ModelLookup, scoring: Scoring): RequestHandler {
  return async function rewards(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(rowsRequest, req.body);
    const rows = readRows('input_ids', body.input_ids, body.attention_mask);
    const model = await requestedModel(lookup, req.headers, body.model ?? undefined, signal);
    const request = { model, field: 'input_ids', rows, caller: req.get(callerHeader) };
    const rewarded = await reward(scoring, request, signal);
    setIdentity(res, rewarded.loaded);
    await sendJsonText(res, answer(rewarded), signal);
  };
}

export interface Rewarded {
  /** Not leased any more: its session may be gone, its identity is not. */
  loaded: LoadedModel;
  /** float32 [labels] per row. */
  rewards: readonly Float32Array[];
  promptTokens: number;
}

/** Throws what `withModel` and the queue throw, TASK_MISMATCH or SCORE_NOT_A_NUMBER. */
export function reward(
  scoring: Scoring,
  request: RowsRequest,
  signal: AbortSignal,
): Promise<Rewarded> {
  const work = async (loaded: LoadedModel, tokens: Int32Array[]): Promise<Rewarded> => {
    if (!loaded.rewards) throw taskMismatch(loaded, '/v1/logprobs or /v1/completions');
    const rows = tokens.map((row) => ({ tokens: row }));
    const rewards = await loaded.rewards.submit({ rows, caller: request.caller }, signal);
    // JSON has no infinity either, and a score that is one tells a trainer nothing.
    if (!rewards.every((row) => row.every(Number.isFinite))) throw notANumber();
    const promptTokens = countIds(request.rows);
    scoring.metrics.onScored(promptTokens, 0);
    return { loaded, rewards, promptTokens };
  };
  return withModel(scoring, request, work, signal);
}

function* answer({ loaded, rewards, promptTokens }: Rewarded): Generator<string> {
  const { labels } = loaded.session;
  yield '{"rewards":[';
  for (const [r, row] of rewards.entries()) {
    const values = Array.from(row, float32Text).join(',');
    yield (r === 0 ? '' : ',') + (labels.length === 1 ? values : `[${values}]`);
  }
  const rest = {
    ...(labels.length !== 1 && { labels }),
    pooling: 'last_token',
    ...describeLoaded(loaded),
    usage: { prompt_tokens: promptTokens },
  };
  yield `],${JSON.stringify(rest).slice(1)}`;
}
