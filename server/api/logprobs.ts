// POST /v1/logprobs: the log-prob of every token given those before it, target-aligned, at full length.
import type { RequestHandler } from 'express';
import { clientSignal } from '../../common/http.ts';
import { callerHeader } from '../contract.ts';
import { positionsFrom } from '../model/scoring.ts';
import { logprobText } from './float32.ts';
import { describeLoaded, type Scoring, setIdentity } from './leased.ts';
import { type ModelLookup, requestedModel } from './requested-model.ts';
import { type IdRow, readRows, rowLength } from './rows.ts';
import { parseBody, rowsRequest } from './schemas.ts';
import { type Scored, score } from './score.ts';
import { sendJsonText } from './send-text.ts';

export function postLogprobs(lookup: ModelLookup, scoring: Scoring): RequestHandler {
  return async function logprobs(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(rowsRequest, req.body);
    const rows = readRows('input_ids', body.input_ids, body.attention_mask);
    const model = await requestedModel(lookup, req.headers, body.model ?? undefined, signal);
    const request = { model, field: 'input_ids', rows, caller: req.get(callerHeader) };
    const asked = rows.map((row) => ({ positions: positionsFrom(1, rowLength(row)) }));
    const scored = await score(scoring, { ...request, asked }, signal);
    setIdentity(res, scored.loaded);
    await sendJsonText(res, answer(rows, scored), signal);
  };
}

function* answer(
  rows: readonly IdRow[],
  { loaded, rows: scored, usage }: Scored,
): Generator<string> {
  yield '{"logprobs":[';
  for (const [r, row] of rows.entries()) {
    yield (r === 0 ? '' : ',') + rowText(row, scored[r]?.values.logprobs ?? new Float32Array());
  }
  const rest = {
    ...describeLoaded(loaded),
    usage: { prompt_tokens: usage.promptTokens, scored_tokens: usage.scoredTokens },
  };
  yield `],${JSON.stringify(rest).slice(1)}`;
}

/** One value per id that came, null where there is none: at padding and at the first token. */
function rowText({ ids, start }: IdRow, logprobs: Float32Array): string {
  const values = Array.from(ids, () => 'null');
  for (const [i, logprob] of logprobs.entries()) values[start + 1 + i] = logprobText(logprob);
  return `[${values.join(',')}]`;
}
