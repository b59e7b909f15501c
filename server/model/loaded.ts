// A model in memory, as the front sees it: its session, the queue before it, and its tokenizer.
import type { Logger } from '../../common/log.ts';
import type { CatalogModel } from '../contract.ts';
import { type BatchOptions, BatchQueue } from './batch/queue.ts';
import type { Closable, Load } from './cache/model-cache.ts';
import { openTokenizer, type TokenTexts } from './checkpoint/tokenizer.ts';
import type { LoadModel, RewardRow, ScoredRow, ScoreRow, Session } from './scoring.ts';

export interface LoadedModel extends Closable {
  readonly model: CatalogModel;
  readonly session: Session;
  /** Of a language model. */
  readonly scores?: BatchQueue<ScoreRow, ScoredRow>;
  /** Of a reward model. */
  readonly rewards?: BatchQueue<RewardRow, Float32Array>;
  /** Tokens of a row at most: what the checkpoint and the catalog allow. */
  readonly maxSequenceTokens: number;
  /** Read at the first call. */
  tokenizer(): Promise<TokenTexts>;
}

export interface LoadedOptions
  extends Pick<BatchOptions<never, never>, 'maxQueuedRows' | 'maxQueuedTokens' | 'onPass'> {
  log: Logger;
}

/** `load`, and around its session what the front needs. */
export function loadForServing(load: LoadModel, options: LoadedOptions): Load<LoadedModel> {
  const { log, ...queueOptions } = options;
  return async (model, steps) => {
    const session = await load(model, steps);
    let tokenizer: Promise<TokenTexts> | undefined;
    return {
      model,
      session,
      ...queueFor(session, {
        ...queueOptions,
        maxBatchTokens: model.maxBatchTokens,
        pageTokens: session.pageTokens,
      }),
      maxSequenceTokens: Math.min(model.maxSequenceTokens, session.identity.contextTokens),
      memory: session.memory,
      ended: session.ended,
      close: () => session.close(),
      tokenizer: () => (tokenizer ??= openTokenizer(session.folder, log)),
    };
  };
}

type Queues = Pick<LoadedModel, 'scores' | 'rewards'>;

const queueFor = (session: Session, options: Omit<BatchOptions<never, never>, 'run'>): Queues =>
  session.identity.task === 'Reward'
    ? { rewards: new BatchQueue({ ...options, run: (rows) => session.reward(rows) }) }
    : { scores: new BatchQueue({ ...options, run: (rows) => session.score(rows) }) };
