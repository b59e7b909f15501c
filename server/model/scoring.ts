// The words that front and runner share: what is asked of a loaded model, and what comes back. Types only.
import type { CatalogModel, ModelState } from '../contract.ts';

/** One row of a batch: token ids of one sequence, no padding. */
export interface ScoreRow {
  /** int32 [n], n ≥ 1 */
  tokens: Int32Array;
  /** First position whose token is scored; ≥ 1, since position 0 has no context. Rows ≥ n score nothing. */
  scoreFrom: number;
  /** Also the distribution after the last token: the greedy next token, for `max_tokens: 1`. */
  wantsNext: boolean;
  /** Most likely tokens wanted at each scored position, besides the token itself; 0 for none. */
  topK: number;
}

/** Values of m scored positions: scoreFrom … n-1, then the next position if it was wanted. */
export interface ScoredRow {
  /** float32 [m]: natural-log probability of the token; of the greedy token at the next position. */
  logprobs: Float32Array;
  /** int32 [m]: 1 + number of tokens that are strictly more likely. Empty unless topK > 0 or wantsNext. */
  ranks: Int32Array;
  /** int32 [m, k] and float32 [m, k], most likely first, k = min(topK, vocabulary) or 1 for wantsNext alone. */
  topIds: Int32Array;
  topLogprobs: Float32Array;
  k: number;
}

/** A model in its runner process. */
export interface Session {
  readonly identity: NonNullable<ModelState['identity']>;
  readonly vocabularySize: number;
  /** Bytes of the weights as loaded. */
  readonly weightBytes: number;
  readonly seconds: NonNullable<ModelState['seconds']>;
  /** Folder of the checkpoint, for the tokenizer. */
  readonly folder: string;
  /**
   * One pass over the model. The caller keeps the padded size within the model's maxBatchTokens.
   * Rejects with RUNNER_DIED when the process ends first. Cannot be cancelled once it runs.
   */
  score(rows: readonly ScoreRow[]): Promise<ScoredRow[]>;
  /** Settles, never rejects, when the runner process has ended for whatever reason. */
  readonly ended: Promise<void>;
  /** Kills the runner and waits for its end, so that its memory is back. */
  close(): Promise<void>;
}

/**
 * Verifies, converts and loads a model. `reserve` is called once the bytes are known and before memory is taken:
 * the cache makes room there, or throws. Throws AppError with the code of what is wrong.
 */
export type LoadModel = (
  model: CatalogModel,
  options: { reserve: (weightBytes: number) => Promise<void>; signal: AbortSignal },
) => Promise<Session>;
