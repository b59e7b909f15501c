// POST /compute_log_probs and /compute_rewards: the native answers under the names of an older service.
import type { RequestHandler } from 'express';
import { clientSignal } from '../../../common/http.ts';
import { positionsFrom } from '../../model/scoring.ts';
import type { Column } from '../answer/columns.ts';
import { sendAnswer } from '../answer/send.ts';
import { senderOf, setIdentity } from '../leased.ts';
import { requestedModel } from '../requested-model.ts';
import { reward } from '../rewards.ts';
import { rowLength } from '../rows.ts';
import { parseBody } from '../schemas.ts';
import { type Scored, score } from '../score.ts';
import { answerColumns } from './answer.ts';
import type { NativeOptions } from './options.ts';
import { placesOf } from './places.ts';
import { computeRequest } from './request.ts';
import { columnOf } from './rewards.ts';
import { readSequences } from './sequences.ts';

type Options = Pick<NativeOptions, 'lookup' | 'scoring' | 'threads'>;

/** Per-token values at full length, and their mean per row over the tokens that have one. */
export function postComputeLogProbs({ lookup, scoring, threads }: Options): RequestHandler {
  return async function computeLogProbs(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(computeRequest, req.body);
    const { rows } = readSequences(body);
    const model = await requestedModel(lookup, req.headers, body.model_name ?? undefined, signal);
    const asks = rows.map((row) => {
      const positions = positionsFrom(1, rowLength(row));
      return { asked: { positions }, places: placesOf(row, positions, 'target') };
    });
    const asked = asks.map((ask) => ask.asked);
    const request = { model, field: 'input_ids', rows, ...senderOf(req), asked };
    const scored = await score(scoring, request, signal);
    setIdentity(res, scored.loaded);
    const valued = scored.rows.flatMap(({ values }, r) =>
      asks[r] ? [{ ...asks[r], values }] : [],
    );
    const { offsets, positions } = answerColumns(valued, { wants: new Set(['logprobs']) });
    const answer = {
      offsets,
      positions: positions.map((column) => ({ ...column, name: 'log_probs' })),
      rows: [meansOf(scored)],
      rest: { model_name: scored.loaded.model.name, batch_size: rows.length },
    };
    await sendAnswer(req, res, { answer, threads, signal });
  };
}

export function postComputeRewards({ lookup, scoring, threads }: Options): RequestHandler {
  return async function computeRewards(req, res) {
    const signal = clientSignal(res);
    const body = parseBody(computeRequest, req.body);
    const { rows } = readSequences(body);
    const model = await requestedModel(lookup, req.headers, body.model_name ?? undefined, signal);
    const request = { model, field: 'input_ids', rows, ...senderOf(req) };
    const rewarded = await reward(scoring, request, signal);
    const { loaded } = rewarded;
    setIdentity(res, loaded);
    const rest = { model_name: loaded.model.name, batch_size: rows.length };
    const answer = { offsets: new Int32Array(1), positions: [], rows: [columnOf(rewarded)], rest };
    await sendAnswer(req, res, { answer, threads, signal });
  };
}

function meansOf({ rows }: Scored): Column {
  const means = rows.map(({ values: { logprobs } }) => {
    return logprobs.reduce((sum, logprob) => sum + logprob, 0) / logprobs.length; // NaN for no token
  });
  return { name: 'mean_log_probs', kind: 'LogProb', values: Float64Array.from(means) };
}
