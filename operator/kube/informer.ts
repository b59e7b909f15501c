// A cache of one kind, kept true by list and watch, that tells its listeners which keys changed.
// Knows nothing of what the objects mean. Objects in it are never changed, only replaced.

import { abortable, withTimeout } from '../../common/abort.ts';
import { Backoff } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import type { KubeClient, Selection } from './client.ts';
import type { WatchEvent } from './envelopes.ts';
import { isGone } from './errors.ts';
import { type KubeObject, keyOf, type Resource } from './resources.ts';

export interface InformerOptions<T extends KubeObject> {
  client: KubeClient;
  clock: Clock;
  log: Logger;
  resource: Resource<T>;
  /** Empty: all namespaces, or a cluster-scoped kind. */
  namespaces?: readonly string[];
  labelSelector?: string;
  fieldSelector?: string;
  /** name → values of an object under which `by` finds it. */
  indexes?: Readonly<Record<string, (object: T) => readonly string[]>>;
  /** The server ends each watch after this time; one that is silent for longer is given up. */
  watchSeconds?: number;
  /** Time after which all is listed again, in case an event was lost. Milliseconds. */
  relistMs?: number;
}

/** Told of each key whose object came, changed or went; `undefined` is "not there". */
export type ChangeListener<T> = (key: string, now: T | undefined, before: T | undefined) => void;

/** An object that the API server accepted and this version cannot read. */
export interface Unreadable {
  object: KubeObject;
  error: unknown;
}

const pageSize = 500;
/** What a watch may be late before it counts as dead. Milliseconds. */
const graceMs = 15_000;
/** A watch that ends sooner and brought nothing is a failure: without a pause it would be a storm. Milliseconds. */
const shortMs = 1000;

export class Informer<T extends KubeObject> {
  readonly #options: InformerOptions<T> & { watchSeconds: number; relistMs: number };
  readonly #objects = new Map<string, T>();
  readonly #unreadable = new Map<string, Unreadable>();
  readonly #indexes = new Map<string, Map<string, Map<string, T>>>();
  readonly #listeners = new Set<ChangeListener<T>>();
  readonly #unsynced: Set<string | undefined>;
  /** How far list and watch have come, by namespace followed. */
  readonly #seen = new Map<string | undefined, string>();
  #snapshot: readonly T[] | undefined;
  #resolveSynced: () => void = () => {};

  /** Resolves once everything was listed; never rejects. Wait for it together with a signal. */
  readonly synced: Promise<void>;

  constructor(options: InformerOptions<T>) {
    this.#options = { watchSeconds: 60, relistMs: 30 * 60_000, ...options };
    this.#unsynced = new Set(options.namespaces?.length ? options.namespaces : [undefined]);
    this.synced = new Promise((resolve) => {
      this.#resolveSynced = resolve;
    });
    for (const name of Object.keys(options.indexes ?? {})) this.#indexes.set(name, new Map());
  }

  get isSynced(): boolean {
    return this.#unsynced.size === 0;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  /** All objects; the same array until something changes. */
  list(): readonly T[] {
    this.#snapshot ??= [...this.#objects.values()];
    return this.#snapshot;
  }

  /** Objects that the index `name` files under `value`. */
  by(name: string, value: string): readonly T[] {
    return [...(this.#indexes.get(name)?.get(value)?.values() ?? [])];
  }

  /** By key. They are in no other answer of this class. */
  get unreadable(): ReadonlyMap<string, Unreadable> {
    return this.#unreadable;
  }

  /** Listeners are called synchronously, in order, after the cache has changed. Returns its own end. */
  onChange(listener: ChangeListener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Takes in the answer to a write of our own, so that the writer reads it back at once.
   * The watch brings the same object later and does not turn the cache back.
   */
  store(object: T): void {
    const { namespace } = object.metadata ?? {};
    const seen = this.#seen.get(undefined) ?? this.#seen.get(namespace);
    const hasPassed = seen !== undefined && !isNewer(object, seen);
    if (hasPassed && !this.#objects.has(keyOf(object))) return; // deleted since
    this.#set(object);
  }

  /** Lists and watches until `signal` fires, then rejects with its reason. */
  async run(signal: AbortSignal): Promise<void> {
    const namespaces = [...this.#unsynced];
    await Promise.all(namespaces.map((namespace) => this.#follow(namespace, signal)));
  }

  async #follow(namespace: string | undefined, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ firstMs: 200, maxMs: 30_000 });
    let position: Position | undefined;
    for (;;) {
      signal.throwIfAborted();
      try {
        position ??= await this.#listAll(namespace, signal);
        await this.#watchOnce(position, signal, () => backoff.reset());
        if (this.#options.clock.now() >= position.relistAt) position = undefined;
      } catch (err) {
        signal.throwIfAborted();
        if (isGone(err)) position = undefined;
        const { resource, log, clock } = this.#options;
        const delayMs = backoff.next();
        log.warn({ err, kind: resource.kind, delayMs }, 'watch interrupted');
        await clock.delay(delayMs, signal);
      }
    }
  }

  async #listAll(namespace: string | undefined, signal: AbortSignal): Promise<Position> {
    const { client, clock, resource, relistMs } = this.#options;
    const selection = this.#selection(namespace);
    const items: KubeObject[] = [];
    let next: string | undefined;
    let resourceVersion: string;
    do {
      const page = await client.list(
        resource,
        { ...selection, limit: pageSize, continue: next },
        signal,
      );
      items.push(...page.items);
      ({ continue: next, resourceVersion } = page);
    } while (next !== undefined);
    this.#replace(namespace, items);
    this.#seen.set(namespace, resourceVersion);
    this.#unsynced.delete(namespace);
    if (this.isSynced) this.#resolveSynced();
    return {
      selection,
      resourceVersion,
      namespace,
      relistAt: clock.now() + relistMs * (1 + Math.random() / 4),
    };
  }

  /** One watch, to its orderly end. Moves `position` along, so that the next one goes on from there. */
  async #watchOnce(position: Position, signal: AbortSignal, onAlive: () => void): Promise<void> {
    const { client, clock, resource, watchSeconds } = this.#options;
    const timeoutSeconds = Math.ceil(watchSeconds * (1 + Math.random() / 2));
    using limit = withTimeout(signal, timeoutSeconds * 1000 + graceMs, clock);
    const { selection, resourceVersion } = position;
    const options = { ...selection, resourceVersion, timeoutSeconds };
    const endsTooSoon = clock.now() + shortMs;
    for await (const event of client.watch(resource, options, limit.signal)) {
      onAlive();
      position.resourceVersion = event.object.metadata?.resourceVersion ?? position.resourceVersion;
      this.#seen.set(position.namespace, position.resourceVersion);
      this.#take(event);
    }
    const isIdle = position.resourceVersion === resourceVersion;
    if (isIdle && clock.now() < endsTooSoon) throw new Error('the watch ended at once');
    onAlive();
  }

  #selection(namespace: string | undefined): Selection {
    const { labelSelector, fieldSelector } = this.#options;
    return { namespace, labelSelector, fieldSelector };
  }

  #take(event: WatchEvent): void {
    if (event.type === 'BOOKMARK') return;
    if (event.type === 'DELETED') this.#remove(event.object);
    else this.#accept(event.object);
  }

  /** The whole truth of one namespace: what is not in it is gone. */
  #replace(namespace: string | undefined, items: readonly KubeObject[]): void {
    const keys = new Set(items.map(keyOf));
    const isOurs = (object: KubeObject) =>
      namespace === undefined || object.metadata?.namespace === namespace;
    const known = [
      ...this.#objects.values(),
      ...[...this.#unreadable.values()].map((u) => u.object),
    ];
    for (const item of items) this.#accept(item);
    for (const object of known) {
      if (isOurs(object) && !keys.has(keyOf(object))) this.#remove(object);
    }
  }

  #accept(raw: KubeObject): void {
    const key = keyOf(raw);
    try {
      const object = this.#options.resource.parse(raw);
      this.#unreadable.delete(key);
      this.#set(object);
    } catch (error) {
      this.#options.log.error(
        { err: error, kind: this.#options.resource.kind, key },
        'cannot read object',
      );
      this.#unreadable.set(key, { object: raw, error });
      this.#swap(key, undefined);
    }
  }

  #set(object: T): void {
    const key = keyOf(object);
    const known = this.#objects.get(key);
    if (known && !isNewer(object, known.metadata?.resourceVersion)) return;
    this.#swap(key, object);
  }

  #remove(object: KubeObject): void {
    const key = keyOf(object);
    this.#unreadable.delete(key);
    this.#swap(key, undefined);
  }

  #swap(key: string, now: T | undefined): void {
    const before = this.#objects.get(key);
    if (now) this.#objects.set(key, now);
    else this.#objects.delete(key);
    this.#snapshot = undefined;
    for (const [name, valuesOf] of Object.entries(this.#options.indexes ?? {})) {
      const index = this.#indexes.get(name) ?? new Map<string, Map<string, T>>();
      for (const value of before ? valuesOf(before) : []) unfile(index, value, key);
      if (now) for (const value of valuesOf(now)) file(index, value, [key, now]);
    }
    for (const listener of this.#listeners) listener(key, now, before);
  }
}

interface Position {
  namespace: string | undefined;
  selection: Selection;
  resourceVersion: string;
  /** Epoch milliseconds. */
  relistAt: number;
}

/** Resource versions grow and may be compared (Kubernetes 1.35: "Resource versions, comparison"). */
function isNewer(object: KubeObject, than: string | undefined): boolean {
  const version = object.metadata?.resourceVersion ?? '';
  if (!isNumber(version) || !isNumber(than)) return true;
  return version.length === than.length ? version > than : version.length > than.length;
}

const isNumber = (version: string | undefined): version is string => /^\d+$/.test(version ?? '');

function file<T>(
  index: Map<string, Map<string, T>>,
  value: string,
  [key, object]: [string, T],
): void {
  const filed = index.get(value) ?? new Map<string, T>();
  index.set(value, filed.set(key, object));
}

function unfile<T>(index: Map<string, Map<string, T>>, value: string, key: string): void {
  const filed = index.get(value);
  filed?.delete(key);
  if (filed?.size === 0) index.delete(value);
}

/** Waits until all informers have listed everything. */
export async function allSynced(
  informers: readonly { synced: Promise<void> }[],
  signal: AbortSignal,
): Promise<void> {
  await abortable(Promise.all(informers.map((informer) => informer.synced)), signal);
}
