// A model in memory, as the front sees it: its session, the queue before it, and its tokenizer.
import type { Logger } from '../../common/log.ts';
import type { CatalogModel } from '../contract.ts';
import { type BatchOptions, BatchQueue } from './batch.ts';
import type { Closable, Load } from './cache.ts';
import type { LoadModel, Session } from './scoring.ts';
import { openTokenizer, type TokenTexts } from './tokenizer.ts';

export interface LoadedModel extends Closable {
  readonly model: CatalogModel;
  readonly session: Session;
  readonly queue: BatchQueue;
  /** Tokens of a row at most: what the checkpoint and the catalog allow. */
  readonly maxSequenceTokens: number;
  /** Read at the first call. */
  tokenizer(): Promise<TokenTexts>;
}

export interface LoadedOptions
  extends Pick<BatchOptions, 'maxQueuedRows' | 'maxQueuedTokens' | 'onPass'> {
  log: Logger;
}

/** `load`, and around its session what the front needs. */
export function loadForServing(load: LoadModel, options: LoadedOptions): Load<LoadedModel> {
  const { log, ...queueOptions } = options;
  return async (model, { reserve, signal }) => {
    const session = await load(model, { reserve, signal });
    let tokenizer: Promise<TokenTexts> | undefined;
    return {
      model,
      session,
      queue: new BatchQueue({
        ...queueOptions,
        maxBatchTokens: model.maxBatchTokens,
        score: (rows) => session.score(rows),
      }),
      maxSequenceTokens: Math.min(model.maxSequenceTokens, session.identity.contextTokens),
      ended: session.ended,
      close: () => session.close(),
      tokenizer: () => (tokenizer ??= openTokenizer(session.folder, log)),
    };
  };
}
