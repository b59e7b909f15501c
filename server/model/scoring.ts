// The words that front and runner share: what is asked of a loaded model, and what comes back.

import type { CatalogModel, ModelState } from '../contract.ts';
import type { VolumePath } from './checkpoint/inside.ts';
import type { Bytes } from './memory.ts';
import type { Report } from './progress.ts';

/** Tokens whose log-probs are wanted too, beside the one that stands there: as many at each scored position. */
export interface Candidates {
  /** int32 [m, width]; -1 where there are fewer. */
  readonly ids: Int32Array;
  readonly width: number;
}

/** What is asked of a row of n tokens. What is left out is not computed. */
export interface Asked {
  /** int32 [m], ascending: positions of 1 … n-1 whose tokens are scored. Position 0 has no context. */
  readonly positions: Int32Array;
  /** Also the distribution after the last token: the greedy next token, for `max_tokens: 1`. */
  readonly wantsNext?: boolean;
  /** Logits are divided by it; > 0. */
  readonly temperature?: number;
  /** Most likely tokens wanted at each scored position, besides the token itself. */
  readonly topK?: number;
  readonly candidates?: Candidates;
  readonly wantsRanks?: boolean;
  readonly wantsEntropies?: boolean;
  readonly wantsNormalizers?: boolean;
  readonly wantsTails?: boolean;
  readonly wantsHidden?: boolean;
}

/** One row of a batch: token ids of one sequence, no padding. */
export interface ScoreRow extends Asked {
  /** int32 [n], n ≥ 1 */
  readonly tokens: Int32Array;
}

/** One row of a batch of a reward model: token ids of one sequence, no padding. */
export type RewardRow = Pick<ScoreRow, 'tokens'>;

/** Values of the m positions that a row asked, then of the next position if it was wanted. Empty: not asked. */
export interface ScoredRow {
  /** float32 [m]: natural-log probability of the token; of the greedy token at the next position. */
  readonly logprobs: Float32Array;
  /** int32 [m]: 1 + number of tokens that are strictly more likely. */
  readonly ranks: Int32Array;
  /** int32 [m, k] and float32 [m, k], most likely first, k = min(topK, vocabulary), or 1 for wantsNext alone. */
  readonly topIds: Int32Array;
  readonly topLogprobs: Float32Array;
  readonly k: number;
  /** float32 [m, width]: NaN where there is no candidate, and at the next position. */
  readonly candidateLogprobs: Float32Array;
  /** float32 [m], in nats. */
  readonly entropies: Float32Array;
  /** float32 [m]: logsumexp of the logits, as the temperature leaves them. */
  readonly normalizers: Float32Array;
  /** float32 [m]: probability of all tokens that are neither among the tops nor candidates. */
  readonly tails: Float32Array;
  /** float32 [m, hidden size]: what enters the head, in float32. */
  readonly hidden: Float32Array;
}

/** Of a row that asks nothing. */
export const nothingScored: ScoredRow = {
  logprobs: new Float32Array(),
  ranks: new Int32Array(),
  topIds: new Int32Array(),
  topLogprobs: new Float32Array(),
  k: 0,
  candidateLogprobs: new Float32Array(),
  entropies: new Float32Array(),
  normalizers: new Float32Array(),
  tails: new Float32Array(),
  hidden: new Float32Array(),
};

/** Positions `from` … n-1 of a row of n tokens. */
export const positionsFrom = (from: number, n: number): Int32Array =>
  Int32Array.from({ length: Math.max(0, n - from) }, (_, i) => from + i);

export const asksAnything = ({ positions, wantsNext }: Asked): boolean =>
  positions.length > 0 || wantsNext === true;

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
  /** Numbers of a position before the head. */
  readonly hiddenSize: number;
  /** Names of the scores that a reward model gives to a row; none for a language model. */
  readonly labels: readonly string[];
  /** Bytes of the weights as loaded. */
  readonly weightBytes: number;
  /** Rows of a pass share what they begin with in whole pages of so many tokens. Absent: token by token. */
  readonly pageTokens?: number;
  /** How far a converted model is from its checkpoint. */
  readonly fidelity?: ModelState['fidelity'];
  /** It was converted for this load; before, it was not in the cache folder. */
  readonly isConverted?: boolean;
  /** What the runner took while it loaded: weights, tables, and a first pass. More than an empty runner has. */
  readonly memory: Bytes;
  /** Of the runner. */
  readonly pid: number;
  /** Folder of the checkpoint, for the tokenizer. */
  readonly folder: VolumePath;
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
  /** An entry of the cache folder had to go. */
  onDiskEvicted: (bytes: number) => void;
  signal: AbortSignal;
}

/** Verifies, converts and loads a model. Throws AppError with the code of what is wrong. */
export type LoadModel = (model: CatalogModel, steps: LoadSteps) => Promise<Session>;
