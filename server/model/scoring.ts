// The words that front and runner share: what is asked of a loaded model, and what comes back. Types only.
import type { CatalogModel, ModelState } from '../contract.ts';
import type { Bytes } from './memory.ts';
import type { Report } from './progress.ts';

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

/** One row of a batch of a reward model: token ids of one sequence, no padding. */
export type RewardRow = Pick<ScoreRow, 'tokens'>;

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

/** How a runner process ended. OutOfMemory: by the kernel, which had none left. Killed: by us, or by a person. */
export interface Ending {
  readonly how: 'OutOfMemory' | 'Killed' | 'Crashed';
  /** For a person. */
  readonly detail: string;
}

/** A model in its runner process. */
export interface Session {
  readonly identity: NonNullable<ModelState['identity']>;
  readonly vocabularySize: number;
  /** Names of the scores that a reward model gives to a row; none for a language model. */
  readonly labels: readonly string[];
  /** Bytes of the weights as loaded. */
  readonly weightBytes: number;
  /** Rows of a pass share what they begin with in whole pages of so many tokens. Absent: token by token. */
  readonly pageTokens?: number;
  /** How far a converted model is from its checkpoint. */
  readonly fidelity?: ModelState['fidelity'];
  /** What the runner took while it loaded: weights, tables, and a first pass. More than an empty runner has. */
  readonly memory: Bytes;
  /** Folder of the checkpoint, for the tokenizer. */
  readonly folder: string;
  /**
   * One pass over the model. The caller keeps its tokens within the model's maxBatchTokens, as `PassDraft` counts them.
   * Rejects with RUNNER_DIED when the process ends first. Cannot be cancelled once it runs.
   */
  score(rows: readonly ScoreRow[]): Promise<ScoredRow[]>;
  /** As `score`, for a reward model: float32 [labels] each, at the last token of the row, without an activation. */
  reward(rows: readonly RewardRow[]): Promise<Float32Array[]>;
  /** Settles, never rejects, when the runner process has ended for whatever reason. */
  readonly ended: Promise<Ending>;
  /** Kills the runner and waits for its end, so that its memory is back. */
  close(): Promise<void>;
}

/** What a load tells and asks on its way. */
export interface LoadSteps {
  /** Throws MODEL_TOO_LARGE when an estimate could never fit: asked before anything is fetched or converted. */
  admit: (estimate: Bytes) => void;
  /** Asked before memory is taken: makes room, or throws. */
  reserve: (bytes: Bytes) => Promise<void>;
  report: Report;
  signal: AbortSignal;
}

/** Verifies, converts and loads a model. Throws AppError with the code of what is wrong. */
export type LoadModel = (model: CatalogModel, steps: LoadSteps) => Promise<Session>;
