// Log-probs of rows of ids, from a language model.
import type { LoadedModel } from '../model/loaded.ts';
import type { ScoredRow, ScoreRow } from '../model/scoring.ts';
import { notANumber, type RowsRequest, type Scoring, taskMismatch, withModel } from './leased.ts';
import { countIds } from './rows.ts';

export interface ScoreRequest extends RowsRequest {
  /** False when only the next token is wanted. */
  scoresPrompt: boolean;
  wantsNext: boolean;
  topK: number;
}

export interface Scored {
  /** Not leased any more: its session may be gone, its identity and tokenizer are not. */
  loaded: LoadedModel;
  /** One per row. */
  rows: { tokens: Int32Array; values: ScoredRow }[];
  usage: { promptTokens: number; scoredTokens: number };
}

const nothing: ScoredRow = {
  logprobs: new Float32Array(),
  ranks: new Int32Array(),
  topIds: new Int32Array(),
  topLogprobs: new Float32Array(),
  k: 0,
};

/** Throws what `withModel` and the queue throw, TASK_MISMATCH, or SCORE_NOT_A_NUMBER. */
export function score(
  scoring: Scoring,
  request: ScoreRequest,
  signal: AbortSignal,
): Promise<Scored> {
  const work = async (loaded: LoadedModel, tokens: Int32Array[]): Promise<Scored> => {
    if (!loaded.scores) throw taskMismatch(loaded, '/v1/rewards');
    const asked = tokens.map((row) => toScoreRow(row, request));
    const submission = { rows: asked.filter(hasWork), caller: request.caller };
    const scored = await loaded.scores.submit(submission, signal);
    if (scored.some(hasNaN)) throw notANumber();
    const results = scored.values();
    const rows = asked.map((row) => ({
      tokens: row.tokens,
      values: hasWork(row) ? (results.next().value ?? nothing) : nothing,
    }));
    const usage = {
      promptTokens: countIds(request.rows),
      scoredTokens: rows.reduce((sum, { values }) => sum + values.logprobs.length, 0),
    };
    scoring.metrics.onScored(usage.promptTokens, usage.scoredTokens);
    return { loaded, rows, usage };
  };
  return withModel(scoring, request, work, signal);
}

function toScoreRow(tokens: Int32Array, request: ScoreRequest): ScoreRow {
  const { scoresPrompt, wantsNext, topK } = request;
  return { tokens, scoreFrom: scoresPrompt ? 1 : tokens.length, wantsNext, topK };
}

const hasWork = (row: ScoreRow) => row.wantsNext || row.scoreFrom < row.tokens.length;
const hasNaN = (row: ScoredRow) =>
  row.logprobs.some(Number.isNaN) || row.topLogprobs.some(Number.isNaN);
