// A model in memory, as the front sees it: its session, the queue before it, and its texts.
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import type { CatalogModel } from '../contract.ts';
import { Texts } from '../text/texts.ts';
import { type HalvingOptions, inHalves } from './batch/halving.ts';
import { type BatchOptions, BatchQueue } from './batch/queue.ts';
import type { Closable, Load } from './cache/model-cache.ts';
import { tokenizerDigest } from './checkpoint/tokenizer.ts';
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
  /** Of tokenizer.json, "sha256:…"; undefined where the checkpoint has none. Read at the first call. */
  tokenizerDigest(): Promise<string | undefined>;
  /** Outlives the session: answers are written when the lease is over. */
  readonly texts: Texts;
}

export interface LoadedOptions
  extends Pick<
      BatchOptions<never, never>,
      'maxQueuedRows' | 'maxQueuedTokens' | 'isAhead' | 'onPass' | 'onPassed' | 'tracing'
    >,
    HalvingOptions {
  /** A checkpoint was converted for a load. */
  onConverted: (quantization: string) => void;
  clock: Clock;
  log: Logger;
}

const textLimitMs = 30_000;

/** `load`, and around its session what the front needs. */
export function loadForServing(load: LoadModel, options: LoadedOptions): Load<LoadedModel> {
  const { clock, log, onConverted, onHalved, ...queueOptions } = options;
  return async (model, steps) => {
    const session = await load(model, steps);
    if (session.isConverted) onConverted(model.quantization);
    const { folder } = session;
    const texts = new Texts({ folder, limitMs: textLimitMs, clock, log });
    void session.ended.then(() => texts.close());
    let digest: Promise<string | undefined> | undefined;
    return {
      model,
      session,
      ...queueFor(session, {
        ...queueOptions,
        onHalved: (rows) => {
          log.warn({ model: model.name, rows }, 'a pass did not fit on the GPU');
          onHalved(rows);
        },
        maxBatchTokens: model.maxBatchTokens,
        pageTokens: session.pageTokens,
      }),
      maxSequenceTokens: Math.min(model.maxSequenceTokens, session.identity.contextTokens),
      memory: session.memory,
      ended: session.ended,
      close: () => session.close(),
      tokenizerDigest: () => (digest ??= tokenizerDigest(folder)),
      texts,
    };
  };
}

type Queues = Pick<LoadedModel, 'scores' | 'rewards'>;

const queueFor = (
  session: Session,
  options: Omit<BatchOptions<never, never>, 'run'> & HalvingOptions,
): Queues =>
  session.identity.task === 'Reward'
    ? {
        rewards: new BatchQueue({
          ...options,
          run: inHalves((rows) => session.reward(rows), options),
        }),
      }
    : {
        scores: new BatchQueue({
          ...options,
          run: inHalves((rows) => session.score(rows), options),
        }),
      };
