// Log-probs of rows of ids, from a language model.
import { AppError } from '../../common/errors.ts';
import type { LoadedModel } from '../model/loaded.ts';
import { type Asked, asksAnything, nothingScored, type ScoredRow } from '../model/scoring.ts';
import { notANumber, type RowsRequest, type Scoring, taskMismatch, withModel } from './leased.ts';
import { countIds } from './rows.ts';

export interface ScoreRequest extends RowsRequest {
  /** Of each row. */
  asked: readonly Asked[];
  /** Throws where the model, once it is known, makes too much of what is asked. */
  check?: (loaded: LoadedModel) => void;
}

export interface Scored {
  /** Not leased any more: its session may be gone, its identity and tokenizer are not. */
  loaded: LoadedModel;
  /** One per row. */
  rows: { tokens: Int32Array; values: ScoredRow }[];
  usage: { promptTokens: number; scoredTokens: number };
}

/** Throws what `withModel` and the queue throw, TASK_MISMATCH, TOKEN_OUT_OF_RANGE or SCORE_NOT_A_NUMBER. */
export function score(
  scoring: Scoring,
  request: ScoreRequest,
  signal: AbortSignal,
): Promise<Scored> {
  const work = async (loaded: LoadedModel, tokens: Int32Array[]): Promise<Scored> => {
    if (!loaded.scores) throw taskMismatch(loaded, '/v1/rewards');
    request.check?.(loaded);
    for (const [r, asked] of request.asked.entries())
      checkCandidates(asked, r, loaded.session.vocabularySize);
    const asked = request.asked.map((ask, r) => ({ ...ask, tokens: tokens[r] ?? none }));
    const submission = { rows: asked.filter(asksAnything), caller: request.caller };
    const scored = await loaded.scores.submit(submission, signal);
    if (scored.some(hasNaN)) throw notANumber();
    const results = scored.values();
    const rows = asked.map((row) => ({
      tokens: row.tokens,
      values: asksAnything(row) ? (results.next().value ?? nothingScored) : nothingScored,
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

const none = new Int32Array();

function checkCandidates({ positions, candidates }: Asked, r: number, vocabularySize: number) {
  const at = candidates?.ids.findIndex((id) => id >= vocabularySize) ?? -1;
  if (!candidates || at < 0) return;
  const place = `candidate_ids[${r}], position ${positions[Math.floor(at / candidates.width)]}`;
  const message = `reading ${place}: ${candidates.ids[at]} is not in the vocabulary, 0 to ${vocabularySize - 1}`;
  throw new AppError('TOKEN_OUT_OF_RANGE', message);
}

/** A candidate may be missing, and is NaN then: it is one of the distribution that the others show. */
const hasNaN = ({ logprobs, topLogprobs, entropies, normalizers, hidden }: ScoredRow) =>
  [logprobs, topLogprobs, entropies, normalizers, hidden].some((values) =>
    values.some(Number.isNaN),
  );
