// What the native routes stand on.
import type { Logger } from '../../../common/log.ts';
import type { Scoring } from '../leased.ts';
import type { ModelLookup } from '../requested-model.ts';
import type { BodyThreads } from '../wire/threads.ts';
import type { Divergence } from './divergence.ts';

export interface NativeOptions {
  lookup: ModelLookup;
  scoring: Scoring;
  threads: BodyThreads;
  limits: NativeLimits;
  log: Logger;
  /** Told of each batch that came with log-probs of its policy. */
  onDivergence: (model: string, divergence: Divergence, isFar: boolean) => void;
}

export interface NativeLimits {
  /** Most likely tokens per position, and candidates. */
  maxTopLogprobs: number;
  /** Values of one answer. */
  maxAnswerValues: number;
  /** Divergence of a policy from which on it is warned of, in nats per token. */
  warnDivergence: number;
}
