// Models in memory: one load per model however many wait for it, the least recently used ones out first,
// none while it is leased. It does not know what a model is: something that takes memory, ends, and closes.
import { abortable, linkSignals, type TimedSignal, withTimeout } from '../../../common/abort.ts';
import type { Clock } from '../../../common/clock.ts';
import { AppError, type ErrorCode } from '../../../common/errors.ts';
import type { Logger } from '../../../common/log.ts';
import { noTracing, type Span, type Tracing, traced } from '../../../common/tracing.ts';
import { Changes } from '../../changes.ts';
import type { CatalogModel, ModelState } from '../../contract.ts';
import { addBytes, type Bytes, noBytes } from '../memory.ts';
import type { Progress } from '../progress.ts';
import type { Ending, LoadSteps } from '../scoring.ts';
import { Budget } from './budget.ts';
import type { CacheLimits } from './eviction.ts';
import { Failures } from './failures.ts';
import { loadError } from './load-error.ts';
import { LoadWatch, type PhaseSeconds } from './load-watch.ts';
import type { CacheObserver } from './observer.ts';
import { isSameModel } from './same-model.ts';

export interface Closable {
  /** What it takes, as measured; stands for the estimate from then on. */
  readonly memory: Bytes;
  /** Settles when the memory is back, for whatever reason. */
  readonly ended: Promise<Ending>;
  close(): Promise<void>;
}

export type Load<T> = (model: CatalogModel, steps: LoadSteps) => Promise<T>;

export interface CacheOptions<T> {
  load: Load<T>;
  limits: CacheLimits;
  /** Time without any progress after which a load is given up. */
  loadTimeoutMs: number;
  /** Time that a load waits for leases to end. */
  roomTimeoutMs: number;
  clock: Clock;
  log: Logger;
  observer: CacheObserver;
  /** Default: none. */
  tracing?: Tracing;
  /** Fires when the process ends: loads stop, loaded models still serve. */
  shutdown: AbortSignal;
}

export interface Lease<T> extends Disposable {
  readonly value: T;
}

export interface CachedModel<T> {
  name: string;
  residency: ModelState['residency'];
  inFlight: number;
  lastUsedMs: number;
  /** Set once loaded. */
  value?: T;
  seconds?: PhaseSeconds;
  /** Set while a phase of the load counts bytes. */
  progress?: Progress;
  /** Set when failed. */
  error?: AppError;
}

interface Entry<T> {
  readonly model: CatalogModel;
  readonly cancel: AbortController;
  readonly loaded: Promise<T>;
  readonly watch: LoadWatch;
  readonly span: Span;
  readonly log: Logger;
  value?: T;
  /** Unset until room was made; an estimate until it is loaded. */
  bytes?: Bytes;
  /** Callers that use it or wait for it. */
  leases: number;
  /** Order of use. */
  use: number;
  lastUsedMs: number;
  closing?: Promise<void>;
}

/** Says nothing about the model itself: the next call may try at once. */
const passing: ReadonlySet<ErrorCode> = new Set(['CACHE_FULL', 'SHUTTING_DOWN']);

export class ModelCache<T extends Closable> {
  /** Told at every change of `info()` or `residents()`. */
  readonly changes = new Changes();
  readonly #options: CacheOptions<T>;
  readonly #tracing: Tracing;
  readonly #failures: Failures;
  readonly #budget;
  /** What callers find, by name. */
  readonly #entries = new Map<string, Entry<T>>();
  /** The same, and those on their way out, which still hold memory. */
  readonly #live = new Set<Entry<T>>();
  /** Those that the catalog wants loaded before they are asked for: the last to be evicted. */
  #preloaded: ReadonlySet<string> = new Set();
  #lastUse = 0;

  constructor(options: CacheOptions<T>) {
    this.#options = options;
    this.#tracing = options.tracing ?? noTracing;
    this.#failures = new Failures(options.clock);
    this.#budget = new Budget({
      ...options,
      changes: this.changes,
      residents: () => this.#residents(),
      evict: (victims) => this.#evict(victims),
    });
  }

  /**
   * The model, loaded if it is not, kept in memory until the lease is disposed. Who stops waiting does not
   * stop the load. `requestId` is told in the log of the load that it begins. Rejects with what the load failed of, MODEL_TOO_LARGE, CACHE_FULL, LOAD_TIMEOUT or SHUTTING_DOWN.
   */
  async acquire(model: CatalogModel, signal: AbortSignal, requestId?: string): Promise<Lease<T>> {
    signal.throwIfAborted();
    const found = this.#find(model);
    const entry = found ?? this.#start(model, requestId);
    const isThere = entry.value !== undefined;
    const known = isThere ? 'Hit' : 'Wait';
    this.#options.observer.onLookup(found ? known : 'Miss');
    entry.leases += 1;
    this.#touch(entry);
    try {
      const options = { links: [entry.span] };
      const wait = () => abortable(entry.loaded, signal);
      const value = await (isThere
        ? wait()
        : traced(this.#tracing, 'wait for load', options, wait));
      return this.#lease(entry, value);
    } catch (err) {
      this.#release(entry);
      throw err;
    }
  }

  contains(name: string): boolean {
    return this.#entries.get(name)?.value !== undefined;
  }

  /** False when it is not there. Out for new callers at once; resolves when closed, or at once while it is leased. */
  async remove(name: string): Promise<boolean> {
    this.#failures.forget(name);
    const entry = this.#entries.get(name);
    if (!entry) return false;
    await this.#detach(entry);
    return true;
  }

  /** Removes all and names them. */
  async clear(): Promise<string[]> {
    const names = [...this.#entries.keys()];
    await Promise.all(names.map((name) => this.remove(name)));
    return names;
  }

  /** Removes what is not among `models`, or not as it stands there. */
  async retain(models: readonly CatalogModel[]): Promise<void> {
    const byName = new Map(models.map((model) => [model.name, model]));
    this.#preloaded = new Set(models.filter(({ preload }) => preload).map(({ name }) => name));
    const isStale = (known: CatalogModel) => {
      const model = byName.get(known.name);
      return !model || !isSameModel(known, model);
    };
    for (const model of this.#failures.models().filter(isStale)) this.#failures.forget(model.name);
    const known = Array.from(this.#entries.values(), (entry) => entry.model);
    await Promise.all(known.filter(isStale).map((model) => this.remove(model.name)));
  }

  /** Loading, loaded and lately failed models, most recently used first. */
  info(): CachedModel<T>[] {
    const entries = [...this.#entries.values()]
      .sort((a, b) => b.use - a.use)
      .map(({ model, value, leases, lastUsedMs, watch }) => ({
        name: model.name,
        inFlight: leases,
        lastUsedMs,
        ...(value
          ? { residency: 'Loaded' as const, value, seconds: watch.seconds }
          : { residency: watch.phase, progress: watch.progress }),
      }));
    return [...entries, ...this.#failed()];
  }

  /** What holds memory now, also what is closing. */
  residents(): { models: number; bytes: Bytes } {
    const held = this.#residents();
    const bytes = held.reduce((sum, resident) => addBytes(sum, resident.bytes), noBytes);
    return { models: held.length, bytes };
  }

  /** Ends every load and every model, leased or not. */
  async close(): Promise<void> {
    this.#entries.clear();
    await Promise.all([...this.#live].map((entry) => this.#close(entry)));
  }

  #failed(): CachedModel<T>[] {
    return this.#failures.models().flatMap(({ name }) => {
      const failure = this.#failures.get(name);
      if (!failure || this.#entries.has(name)) return [];
      const { error, atMs } = failure;
      return [{ name, residency: 'Failed' as const, inFlight: 0, lastUsedMs: atMs, error }];
    });
  }

  #find(model: CatalogModel): Entry<T> | undefined {
    const entry = this.#entries.get(model.name);
    if (!entry || isSameModel(entry.model, model)) return entry;
    void this.#detach(entry);
    this.#failures.forget(model.name);
    return undefined;
  }

  #start(model: CatalogModel, requestId: string | undefined): Entry<T> {
    const { clock, observer, shutdown } = this.#options;
    if (shutdown.aborted)
      throw new AppError('SHUTTING_DOWN', 'loading a model: the process is ending');
    this.#failures.check(model.name);
    const log = this.#options.log.child({ model: model.name, ...(requestId && { requestId }) });
    const span = this.#tracing.start('load', { attributes: { 'refmodel.model': model.name } });
    const entry: Entry<T> = {
      model,
      span,
      log,
      cancel: new AbortController(),
      loaded: Promise.resolve().then(() => this.#load(entry)),
      watch: new LoadWatch({
        log,
        clock,
        tracing: { of: this.#tracing, load: span },
        onPhase: (phase, done) => observer.onPhase(phase, done),
      }),
      leases: 0,
      use: 0,
      lastUsedMs: clock.now(),
    };
    this.#entries.set(model.name, entry);
    this.#live.add(entry);
    entry.loaded.catch(() => {}); // those who wait hear of it
    return entry;
  }

  async #load(entry: Entry<T>): Promise<T> {
    const { clock, load, loadTimeoutMs, observer, shutdown } = this.#options;
    const { model, log, span, watch } = entry;
    using ends = linkSignals(shutdown, entry.cancel.signal);
    using limit = withTimeout(ends.signal, loadTimeoutMs, clock);
    using over = linkSignals();
    const startedMs = clock.now();
    const seconds = () => (clock.now() - startedMs) / 1000;
    try {
      void watch.run(over.signal);
      const value = await load(model, this.#steps(entry, limit));
      entry.value = value;
      entry.bytes = value.memory;
      this.#failures.resolve(model.name);
      void value.ended.then((ending) => this.#onEnded(entry, ending));
      observer.onLoad(seconds());
      span.end();
      return value;
    } catch (err) {
      const error = loadError(err, { name: model.name, state: watch.describe() }, limit.signal);
      log.warn({ err: error, phase: watch.phase }, 'a load failed');
      observer.onLoad(seconds(), error.code);
      span.end(error);
      // A runner that died may do better the next time; one that says what is wrong will say it again.
      this.#onFailed(entry, error, { isFirstFree: error.code === 'RUNNER_DIED' });
      throw error;
    } finally {
      over.abort(loadIsOver);
      watch.end({ isLoaded: entry.value !== undefined });
      this.changes.notify();
    }
  }

  #steps(entry: Entry<T>, { signal, restart }: TimedSignal): LoadSteps {
    const { model, watch } = entry;
    return {
      signal,
      admit: (bytes) => this.#budget.admit(model, bytes),
      reserve: async (bytes) => {
        watch.waits();
        const take = () => {
          entry.bytes = bytes;
          this.changes.notify();
        };
        await this.#budget.reserve(model, { bytes, take }, signal);
        watch.loads(bytes.host + bytes.device);
      },
      onDiskEvicted: (bytes) => this.#options.observer.onDiskEvicted(bytes),
      report: (progress) => {
        restart();
        watch.report(progress);
        this.changes.notify();
      },
    };
  }

  async #evict(victims: readonly { entry: Entry<T> }[]): Promise<void> {
    await Promise.all(
      victims.map(({ entry }) => {
        this.#options.observer.onEvict();
        return this.#detach(entry);
      }),
    );
  }

  /** Least recently used first, those that are preloaded last. */
  #residents() {
    const rank = ({ model }: Entry<T>) => (this.#preloaded.has(model.name) ? 1 : 0);
    return [...this.#live]
      .sort((a, b) => rank(a) - rank(b) || a.use - b.use)
      .flatMap((entry) => {
        if (entry.bytes === undefined) return [];
        const isEvictable = entry.value !== undefined && entry.leases === 0 && !entry.closing;
        return [{ entry, bytes: entry.bytes, isEvictable }];
      });
  }

  #touch(entry: Entry<T>): void {
    entry.use = ++this.#lastUse;
    entry.lastUsedMs = this.#options.clock.now();
    this.changes.notify();
  }

  #lease(entry: Entry<T>, value: T): Lease<T> {
    let isHeld = true;
    return {
      value,
      [Symbol.dispose]: () => {
        if (isHeld) this.#release(entry);
        isHeld = false;
      },
    };
  }

  #release(entry: Entry<T>): void {
    entry.leases -= 1;
    this.#touch(entry);
    if (entry.leases === 0 && !this.#isCurrent(entry)) void this.#close(entry);
  }

  #isCurrent(entry: Entry<T>): boolean {
    return this.#entries.get(entry.model.name) === entry;
  }

  /** New callers do not find it any more; it closes now, or with its last lease. */
  async #detach(entry: Entry<T>): Promise<void> {
    this.#entries.delete(entry.model.name);
    this.changes.notify();
    if (entry.leases === 0) await this.#close(entry);
  }

  #close(entry: Entry<T>): Promise<void> {
    entry.closing ??= this.#end(entry);
    return entry.closing;
  }

  async #end(entry: Entry<T>): Promise<void> {
    entry.cancel.abort(new AppError('SHUTTING_DOWN', 'loading a model: it was removed meanwhile'));
    const value = await entry.loaded.catch(() => undefined);
    await value?.close().catch((err: unknown) => {
      this.#options.log.error({ err, model: entry.model.name }, 'closing a model failed');
    });
    this.#live.delete(entry);
    this.changes.notify();
  }

  /** The model ended by itself, unless we are closing it. */
  #onEnded(entry: Entry<T>, { how, detail }: Ending): void {
    if (entry.closing) return;
    entry.closing = Promise.resolve();
    const { name } = entry.model;
    const error = new AppError('RUNNER_DIED', `the runner of "${name}" ended by itself: ${detail}`);
    this.#options.log.error({ model: name, how, detail }, 'a runner ended by itself');
    this.#options.observer.onDeath(how);
    this.#onFailed(entry, error, { isFirstFree: true });
    this.changes.notify();
  }

  #onFailed(entry: Entry<T>, error: AppError, options: { isFirstFree: boolean }): void {
    const { name } = entry.model;
    this.#live.delete(entry);
    if (!this.#isCurrent(entry)) return;
    this.#entries.delete(name);
    if (!passing.has(error.code)) this.#failures.record(entry.model, error, options);
  }
}

const loadIsOver = new Error('the load is over');
