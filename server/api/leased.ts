// From rows of ids to what a model says of them: lease it, check the rows against it, try once more where it died.
// Every scoring route goes through here; what is computed is the route's matter.
import type { Request, Response } from 'express';
import { abortable } from '../../common/abort.ts';
import { AppError } from '../../common/errors.ts';
import { type CatalogModel, callerHeader, identityHeaders } from '../contract.ts';
import type { ServerMetrics } from '../metrics.ts';
import type { Lease, ModelCache } from '../model/cache/model-cache.ts';
import type { LoadedModel } from '../model/loaded.ts';
import { countIds, type IdRow, toTokens } from './rows.ts';

export interface ScoreLimits {
  maxRows: number;
  maxTokens: number;
}

export interface Scoring {
  cache: Pick<ModelCache<LoadedModel>, 'acquire'>;
  limits: ScoreLimits;
  metrics: Pick<ServerMetrics, 'onScored'>;
}

/** Who asks. */
export interface Sender {
  /** Requests of one caller take turns as one. */
  readonly caller: string | undefined;
  /** In the lines that the log has of it. */
  readonly requestId: string | undefined;
}

export const senderOf = (req: Request): Sender => ({
  caller: req.get(callerHeader),
  requestId: req.get('x-request-id'),
});

export interface RowsRequest extends Partial<Sender> {
  model: CatalogModel;
  /** Name of the rows in errors. */
  field: string;
  rows: readonly IdRow[];
  pins?: Pins;
}

/** What the loaded model must be. */
export interface Pins {
  /** Its revision, or its digest. */
  revision?: string | null;
  /** Of its tokenizer.json. */
  tokenizerDigest?: string | null;
}

type Work<T> = (loaded: LoadedModel, tokens: Int32Array[]) => Promise<T>;

/**
 * Loads the model if need be, and keeps it until `work` is done. A runner that dies is tried once more with a new one:
 * scoring changes nothing. Throws what cache, rows and `work` throw, or BODY_TOO_LARGE.
 */
export async function withModel<T>(
  scoring: Scoring,
  request: RowsRequest,
  work: Work<T>,
  signal: AbortSignal,
): Promise<T> {
  checkSize(request.rows, scoring.limits);
  const attempt = async () => {
    using lease: Lease<LoadedModel> = await scoring.cache.acquire(
      request.model,
      signal,
      request.requestId,
    );
    return await workOn(lease.value, request, work, signal);
  };
  try {
    return await attempt();
  } catch (err) {
    if (!isDeath(err)) throw err;
    return attempt();
  }
}

async function workOn<T>(
  loaded: LoadedModel,
  { field, rows, pins = {} }: RowsRequest,
  work: Work<T>,
  signal: AbortSignal,
): Promise<T> {
  const { maxSequenceTokens, session } = loaded;
  const { vocabularySize } = session;
  await checkPins(loaded, pins);
  try {
    return await work(loaded, toTokens(field, rows, { vocabularySize, maxSequenceTokens }));
  } catch (err) {
    if (isDeath(err)) await abortable(session.ended, signal); // else the next attempt may find it in the cache
    throw err;
  }
}

async function checkPins(loaded: LoadedModel, { revision, tokenizerDigest }: Pins): Promise<void> {
  const { model, session } = loaded;
  const { revision: own, digest } = session.identity;
  if (typeof revision === 'string' && revision !== own && revision !== digest) {
    const message = `asking ${model.name}: revision "${revision}" is pinned, "${own}" is loaded`;
    throw new AppError('REVISION_MISMATCH', message);
  }
  if (typeof tokenizerDigest !== 'string') return;
  const found = await loaded.tokenizerDigest();
  if (tokenizerDigest.toLowerCase() === found) return;
  const message = `asking ${model.name}: tokenizer "${tokenizerDigest}" is pinned, that of the model is "${found ?? 'none'}"`;
  throw new AppError('TOKENIZER_MISMATCH', message);
}

const isDeath = (err: unknown): boolean => err instanceof AppError && err.code === 'RUNNER_DIED';

/** More than the queue ever holds could not be queued at all. */
function checkSize(rows: readonly IdRow[], limits: ScoreLimits): void {
  const tokens = countIds(rows);
  if (rows.length <= limits.maxRows && tokens <= limits.maxTokens) return;
  const message = `${rows.length} rows of ${tokens} tokens, the limits are ${limits.maxRows} and ${limits.maxTokens}`;
  throw new AppError('BODY_TOO_LARGE', `queueing: ${message}`);
}

export const taskMismatch = ({ model, session }: LoadedModel, routes: string): AppError => {
  const { architecture } = session.identity;
  const advice = `ask it by POST ${routes}`;
  return new AppError('TASK_MISMATCH', `asking ${model.name}, ${architecture}: ${advice}`);
};

export const notANumber = (): AppError =>
  new AppError('SCORE_NOT_A_NUMBER', 'scoring: the model computed a value that is no number');

export function setIdentity(res: Response, { session }: LoadedModel): void {
  const { revision, digest, quantization } = session.identity;
  res.setHeader(identityHeaders.revision, revision);
  res.setHeader(identityHeaders.digest, digest);
  res.setHeader(identityHeaders.quantization, quantization);
}

/** What every answer of ours says about the model that gave it. */
export function describeLoaded({ model, session }: LoadedModel): object {
  const { identity, fidelity } = session;
  const { revision, digest, quantization } = identity;
  return {
    model: model.name,
    revision,
    digest,
    quantization,
    dtype: 'float32',
    fidelity: fidelity
      ? {
          kl: fidelity.kl, // left out for a reward model
          mean_abs_delta: fidelity.meanAbsDelta,
          max_abs_delta: fidelity.maxAbsDelta,
          tokens: fidelity.tokens,
        }
      : null,
  };
}
