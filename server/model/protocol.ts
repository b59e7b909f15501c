// What the front and a runner process say to each other: calls with an id, one answer each, and on the way how far a
// call has come and what it evicted. Types only.
import type { ErrorCode } from '../../common/errors.ts';
import type { CatalogModel } from '../contract.ts';
import type { Provider } from '../onnx/target.ts';
import type { HubSettings } from './hub/settings.ts';
import type { Bytes } from './memory.ts';
import type { Progress } from './progress.ts';
import type { RewardRow, ScoredRow, ScoreRow, Session } from './scoring.ts';

/** What a checkpoint will take, from its config and headers alone. */
export interface Description {
  readonly estimate: Bytes;
}

export interface Prepared
  extends Pick<
    Session,
    | 'folder'
    | 'identity'
    | 'vocabularySize'
    | 'hiddenSize'
    | 'labels'
    | 'weightBytes'
    | 'fidelity'
    | 'pageTokens'
  > {
  /** Of the cache folder: what must stay while the model is loaded. */
  readonly entries: readonly string[];
  /** It was converted just now, by this process. */
  readonly isConverted: boolean;
}

/** Where files come from and go to. */
export interface Sources {
  readonly cacheDir: string;
  readonly cacheBytes?: number;
  readonly hub: HubSettings;
}

/** The calls, in the order in which a runner gets them. The last two may be repeated. */
export interface Calls {
  describe: {
    params: { model: CatalogModel; sources: Sources; provider: Provider };
    result: Description;
  };
  prepare: {
    params: { model: CatalogModel; sources: Sources; threads: number; provider: Provider };
    result: Prepared;
  };
  /** Throws PROVIDER_UNSOUND. */
  selfTest: { params: { threads: number }; result: null };
  load: { params: { threads: number }; result: null };
  score: { params: readonly ScoreRow[]; result: ScoredRow[] };
  reward: { params: readonly RewardRow[]; result: Float32Array[] };
}
export type Method = keyof Calls;

/** Front to runner. */
export type Call = {
  [M in Method]: { readonly id: number; readonly method: M; readonly params: Calls[M]['params'] };
}[Method];

/** Runner to front. An error crosses as its code and message. */
export type Answer =
  | { readonly id: number; readonly result: Calls[Method]['result'] }
  | { readonly id: number; readonly error: { code: ErrorCode; message: string } };

export type Message =
  | Answer
  | { readonly progress: Progress }
  /** An entry of the cache folder was evicted. */
  | { readonly evictedBytes: number };
