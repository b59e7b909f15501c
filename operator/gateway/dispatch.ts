// From model to endpoint: takes one that is ready, or holds the request and has the pool woken until one is.
// It knows nothing of HTTP.
import { TimeoutError, withTimeout } from '../../common/abort.ts';
import { Backoff } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import type { Tracing } from '../../common/tracing.ts';
import type { ModelKey, PoolKey } from '../pool.ts';
import type { Activity } from './activity.ts';
import type { Backend, BackendChange, Endpoint, GatewayModel } from './backend.ts';
import type { Hold } from './hold.ts';
import { pick } from './pick.ts';
import type { Residency } from './residency.ts';
import { Waker } from './waker.ts';

/** An endpoint for one request, which counts as in flight there until disposed. */
export interface Lease extends Disposable {
  readonly endpoint: Endpoint;
  /** Time that the request was held for it. Milliseconds. */
  readonly heldMs: number;
  /** Should the model never fit there, it goes to a larger class. */
  readonly hasLarger: boolean;
}

export interface AcquireRequest {
  model: ModelKey;
  /** Who takes turns with others while waiting. */
  caller: string;
  /** Memory that the request keeps while it waits. */
  bytes: number;
  /** Time that it may still wait. Milliseconds. */
  budgetMs: number;
  /** Endpoints that can never hold the model. */
  except: ReadonlySet<Endpoint>;
}

export interface DispatcherOptions {
  backend: Backend;
  hold: Hold;
  activity: Activity;
  residency: Pick<Residency, 'stateOf'>;
  onWake: (pool: PoolKey) => void;
  onWoken: (pool: PoolKey, seconds: number) => void;
  onWakeFailed: (pool: PoolKey) => void;
  clock: Clock;
  log: Logger;
  tracing: Tracing;
}

/** How long an endpoint that turned a request away is left alone: longer at each time in a row. */
const asideRetry = { firstMs: 100, maxMs: 5000 };
/** After this a client may try again: the wake goes on in the meantime. */
const wakeRetryAfterSeconds = 5;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #waker: Waker;
  /** Endpoints that are ready by name only: they refused or broke a request just now. */
  readonly #aside = new Set<Endpoint>();
  readonly #backoffs = new WeakMap<Endpoint, Backoff>();
  readonly #unsubscribe: () => void;
  readonly #stop = new AbortController();

  constructor(options: DispatcherOptions) {
    const { backend } = options;
    this.#options = options;
    const isNeeded = (pool: PoolKey) => this.#waitingIn(pool).length > 0 && !this.#hasUsable(pool);
    this.#waker = new Waker({ ...options, isNeeded });
    this.#unsubscribe = backend.subscribe((change) => this.#onChange(change));
  }

  /**
   * An endpoint for the model: at once if one is ready, else as soon as one is.
   * Throws MODEL_NOT_FOUND, MODEL_NOT_ACCEPTED, QUEUE_FULL, WAKE_TIMEOUT, or the signal's reason.
   */
  async acquire(request: AcquireRequest, signal: AbortSignal): Promise<Lease> {
    const { clock, hold } = this.#options;
    const { model: key, caller, bytes, except } = request;
    signal.throwIfAborted();
    // From here to the wait all is one step: no endpoint can come unseen, and no waiter is without a wake.
    const ready = this.#attempt(key, except, 0);
    if (ready) return ready;
    using limit = withTimeout(signal, request.budgetMs, clock);
    const start = clock.now();
    const attempt = () => this.#attempt(key, except, clock.now() - start);
    try {
      const limits = this.#model(key).hold;
      const lease = hold.take({ key, caller, bytes, limits, attempt }, limit.signal);
      this.#wakeFor(key);
      return await lease;
    } catch (err) {
      throw err instanceof TimeoutError && !signal.aborted ? this.#wakeTimeout(request) : err;
    }
  }

  /** The endpoint could not take a request: others are preferred for a while. */
  setAside(endpoint: Endpoint): void {
    if (this.#aside.has(endpoint)) return;
    this.#aside.add(endpoint);
    const backoff = this.#backoffs.get(endpoint) ?? new Backoff(asideRetry);
    this.#backoffs.set(endpoint, backoff);
    const back = () => {
      this.#aside.delete(endpoint);
      this.#onChange({ pool: endpoint.pool });
    };
    this.#options.clock.delay(backoff.next(), this.#stop.signal).then(back, () => {});
  }

  /** The endpoint answered. */
  confirm(endpoint: Endpoint): void {
    this.#backoffs.delete(endpoint);
  }

  /** Requests that wait for a pod of the pool. */
  waiting(pool: PoolKey): number {
    const { hold } = this.#options;
    return this.#waitingIn(pool).reduce((sum, key) => sum + hold.held(key), 0);
  }

  /** True when a request for the pool would have to wait. */
  isAsleep(model: GatewayModel): boolean {
    return model.pool === undefined || this.#options.backend.endpoints(model.pool).length === 0;
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    this.#stop.abort();
    await this.#waker.close();
  }

  /** Runs inside the hold, in one step with it: looks, and takes. */
  #attempt(key: ModelKey, except: ReadonlySet<Endpoint>, heldMs: number): Lease | undefined {
    const { activity, residency } = this.#options;
    const model = this.#model(key);
    assertAccepted(model);
    const { concurrency, hasLarger, pool } = model;
    const usable = pool === undefined ? [] : this.#usable(pool);
    const endpoint = pick({
      model: key,
      concurrency,
      endpoints: except.size === 0 ? usable : usable.filter((e) => !except.has(e)),
      stateOf: (e) => residency.stateOf(e),
      inFlight: (e) => activity.load(e),
    });
    if (!endpoint) return undefined;
    const flight = activity.begin(key, endpoint);
    return { endpoint, heldMs, hasLarger, [Symbol.dispose]: flight[Symbol.dispose] };
  }

  #model(key: ModelKey): GatewayModel {
    const model = this.#options.backend.models().get(key);
    if (model) return model;
    throw new AppError('MODEL_NOT_FOUND', `finding the model: there is no "${key}"`);
  }

  #onChange(change: BackendChange): void {
    const keys = 'model' in change ? [change.model] : this.#waitingIn(change.pool);
    for (const key of keys) {
      this.#options.hold.recheck(key);
      this.#wakeFor(key);
    }
    if ('pool' in change) this.#waker.relax(change.pool);
    if ('model' in change && !this.#options.backend.models().has(change.model)) {
      this.#options.activity.forget(change.model);
    }
  }

  /** Whoever still waits for the model needs its pool. */
  #wakeFor(key: ModelKey): void {
    const { backend, hold } = this.#options;
    const pool = backend.models().get(key)?.pool;
    if (pool !== undefined && hold.held(key) > 0) this.#waker.ensure(pool);
  }

  #usable(pool: PoolKey): readonly Endpoint[] {
    const endpoints = this.#options.backend.endpoints(pool);
    return this.#aside.size === 0 ? endpoints : endpoints.filter((e) => !this.#aside.has(e));
  }

  #hasUsable(pool: PoolKey): boolean {
    return this.#usable(pool).length > 0;
  }

  /** Models of the pool that requests wait for. */
  #waitingIn(pool: PoolKey): ModelKey[] {
    const models = this.#options.backend.models();
    return this.#options.hold.keys().filter((key) => models.get(key)?.pool === pool);
  }

  #wakeTimeout({ model, budgetMs }: AcquireRequest): AppError {
    const { backend } = this.#options;
    const pool = backend.models().get(model)?.pool;
    const reason = pool && (backend.trouble(pool) ?? this.#waker.failure(pool));
    const message = `waiting for a pod of ${model}: none was ready within ${Math.round(budgetMs)} ms`;
    return new AppError('WAKE_TIMEOUT', reason ? `${message}: ${reason}` : message, {
      retryAfterSeconds: wakeRetryAfterSeconds,
    });
  }
}

function assertAccepted({ key, acceptance }: GatewayModel): void {
  if (acceptance.state !== 'Refused') return;
  throw new AppError('MODEL_NOT_ACCEPTED', `${key} is not accepted: ${acceptance.message}`, {
    retryAfterSeconds: wakeRetryAfterSeconds,
  });
}
