// What the front and a runner process say to each other: calls with an id, one answer each. Types only.
import type { ErrorCode } from '../../common/errors.ts';
import type { CatalogModel } from '../contract.ts';
import type { ScoredRow, ScoreRow, Session } from './scoring.ts';

export interface Prepared
  extends Pick<Session, 'folder' | 'identity' | 'vocabularySize' | 'weightBytes'> {
  readonly convertSeconds: number;
}

/** The calls, in the order in which a runner gets them. `score` may be repeated. */
export interface Calls {
  prepare: { params: { model: CatalogModel; cacheDir: string }; result: Prepared };
  load: { params: { threads: number }; result: { seconds: number } };
  score: { params: readonly ScoreRow[]; result: ScoredRow[] };
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
