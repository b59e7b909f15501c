// What the gateway needs from whoever runs the pods. It knows nothing of Kubernetes and nothing of processes.
import type { ReferenceModel, ReferenceModelSpec } from '../../crds/reference-model.ts';
import type { RunLease } from '../lease.ts';
import type { ModelKey, PoolKey } from '../pool.ts';
import type { HoldLimits } from './hold.ts';

/** One server that takes requests. The same object as long as it stays ready: identity is continuity. */
export interface Endpoint {
  /** Pod name, or the address where there are no pods; the same in every gateway. */
  readonly id: string;
  readonly pool: PoolKey;
  readonly host: string;
  readonly port: number;
}

/** Whether the model can be served at all. Unknown: nobody has judged it yet, so requests wait. */
export type Acceptance =
  | { readonly state: 'Accepted' | 'Unknown' }
  | { readonly state: 'Refused'; readonly message: string };

export interface GatewayModel {
  readonly key: ModelKey;
  /** Undefined while the class of the model is not known. */
  readonly pool: PoolKey | undefined;
  readonly acceptance: Acceptance;
  /** Who may use it. */
  readonly access: ReferenceModelSpec['access'];
  /** A larger class follows, which the model goes to when a pod says that it can never fit. */
  readonly hasLarger: boolean;
  /** Requests that one pod takes at a time before another pod is preferred. */
  readonly concurrency: number;
  /** Of the requests that wait for it. */
  readonly hold: HoldLimits & {
    /** Time that one waits at most; undefined: as long as the gateway lets any. Milliseconds. */
    readonly timeoutMs: number | undefined;
  };
  /** Tokens of the longest row. */
  readonly maxSequenceTokens: number;
  /** Models that a pod of its class holds at most. */
  readonly maxModels: number;
}

/** What changed: the endpoints of a pool, ready or starting, or one model (new, different or gone). */
export type BackendChange = { readonly pool: PoolKey } | { readonly model: ModelKey };

export interface Backend {
  /** False until every model that exists is known: before, no name may be called unknown. */
  isSynced(): boolean;
  /** A snapshot; replaced, never changed. */
  models(): ReadonlyMap<ModelKey, GatewayModel>;
  /** The models as they were declared, with what the operator says of them; a snapshot. */
  objects(): readonly ReferenceModel[];
  /** The ready endpoints of a pool; a snapshot. */
  endpoints(pool: PoolKey): readonly Endpoint[];
  /** Endpoints of a pool that are not ready yet, and whose address is known; a snapshot. */
  starting(pool: PoolKey): readonly Endpoint[];
  /** Every ready endpoint; a snapshot. */
  allEndpoints(): readonly Endpoint[];
  /** Calls back after each change, synchronously, the new snapshot being in place. Returns how to stop. */
  subscribe(listener: (change: BackendChange) => void): () => void;
  /**
   * Asks for at least one server in the pool and returns once that is asked, not once it is ready.
   * Harmless when one runs or starts already.
   */
  wake(pool: PoolKey, signal: AbortSignal): Promise<void>;
  /** The leases that have not expired, by run. */
  leases(): readonly RunLease[];
  /** Sets or renews the lease of a run; kept for good once it resolves. */
  keepLease(lease: RunLease, signal: AbortSignal): Promise<void>;
  /** Ends the lease of a run, if it has one. */
  dropLease(run: string, signal: AbortSignal): Promise<void>;
  /** Why the pool does not become ready, in words, where that is known. */
  trouble(pool: PoolKey): string | undefined;
}
