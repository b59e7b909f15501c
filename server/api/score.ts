// From rows of ids to their values: lease the model, check the rows against it, queue them, check what comes back.
// Every scoring route goes through here.
import type { Response } from 'express';
import { abortable } from '../../common/abort.ts';
import { AppError } from '../../common/errors.ts';
import { type CatalogModel, identityHeaders } from '../contract.ts';
import type { ServerMetrics } from '../metrics.ts';
import type { Lease, ModelCache } from '../model/cache.ts';
import type { LoadedModel } from '../model/loaded.ts';
import type { ScoredRow, ScoreRow } from '../model/scoring.ts';
import { countIds, type IdRow, toTokens } from './rows.ts';

export interface ScoreLimits {
  maxRows: number;
  maxTokens: number;
}

export interface Scoring {
  cache: Pick<ModelCache<LoadedModel>, 'acquire'>;
  limits: ScoreLimits;
  metrics: Pick<ServerMetrics, 'onScored'>;
}

export interface ScoreRequest {
  model: CatalogModel;
  /** Name of the rows in errors. */
  field: string;
  rows: readonly IdRow[];
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

/**
 * Loads the model if need be. A runner that dies is tried once more with a new one: scoring changes nothing.
 * Throws what cache, queue and rows throw, BODY_TOO_LARGE, or SCORE_NOT_A_NUMBER.
 */
export async function score(
  scoring: Scoring,
  request: ScoreRequest,
  signal: AbortSignal,
): Promise<Scored> {
  checkSize(request.rows, scoring.limits);
  try {
    return await scoreOnce(scoring, request, signal);
  } catch (err) {
    if (!(err instanceof AppError && err.code === 'RUNNER_DIED')) throw err;
    return scoreOnce(scoring, request, signal);
  }
}

async function scoreOnce(scoring: Scoring, request: ScoreRequest, signal: AbortSignal) {
  using lease: Lease<LoadedModel> = await scoring.cache.acquire(request.model, signal);
  const { value: loaded } = lease;
  const tokens = toTokens(request.field, request.rows, {
    vocabularySize: loaded.session.vocabularySize,
    maxSequenceTokens: loaded.maxSequenceTokens,
  });
  const asked = tokens.map((row) => toScoreRow(row, request));
  const results = (await scoreOn(loaded, asked.filter(hasWork), signal)).values();
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
}

async function scoreOn({ queue, session }: LoadedModel, rows: ScoreRow[], signal: AbortSignal) {
  try {
    const results = await queue.submit(rows, signal);
    if (results.some(hasNaN)) {
      throw new AppError(
        'SCORE_NOT_A_NUMBER',
        'scoring: the model computed a value that is no number',
      );
    }
    return results;
  } catch (err) {
    // The next attempt must not find this session in the cache.
    if (err instanceof AppError && err.code === 'RUNNER_DIED')
      await abortable(session.ended, signal);
    throw err;
  }
}

function toScoreRow(tokens: Int32Array, request: ScoreRequest): ScoreRow {
  const { scoresPrompt, wantsNext, topK } = request;
  return { tokens, scoreFrom: scoresPrompt ? 1 : tokens.length, wantsNext, topK };
}

const hasWork = (row: ScoreRow) => row.wantsNext || row.scoreFrom < row.tokens.length;
const hasNaN = (row: ScoredRow) =>
  row.logprobs.some(Number.isNaN) || row.topLogprobs.some(Number.isNaN);

/** More than the queue ever holds could not be queued at all. */
function checkSize(rows: readonly IdRow[], limits: ScoreLimits): void {
  const tokens = countIds(rows);
  if (rows.length <= limits.maxRows && tokens <= limits.maxTokens) return;
  const message = `${rows.length} rows of ${tokens} tokens, the limits are ${limits.maxRows} and ${limits.maxTokens}`;
  throw new AppError('BODY_TOO_LARGE', `queueing: ${message}`);
}

export function setIdentity(res: Response, { session }: LoadedModel): void {
  const { revision, digest, quantization } = session.identity;
  res.setHeader(identityHeaders.revision, revision);
  res.setHeader(identityHeaders.digest, digest);
  res.setHeader(identityHeaders.quantization, quantization);
}
