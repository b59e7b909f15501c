// Scores of rows of ids, from a reward model.
import type { LoadedModel } from '../model/loaded.ts';
import { notANumber, type RowsRequest, type Scoring, taskMismatch, withModel } from './leased.ts';
import { countIds } from './rows.ts';

export interface Rewarded {
  /** Not leased any more: its session may be gone, its identity is not. */
  loaded: LoadedModel;
  /** float32 [labels] per row. */
  rewards: readonly Float32Array[];
  promptTokens: number;
}

/** Throws what `withModel` and the queue throw, TASK_MISMATCH, or SCORE_NOT_A_NUMBER. */
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
