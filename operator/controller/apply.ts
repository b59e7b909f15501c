// Makes an object of the cluster say what we want, and never touches one that is not ours.
// The only place that creates, applies and deletes. Writes nothing when there is nothing to change.
import { createHash } from 'node:crypto';
import { AppError } from '../../common/errors.ts';
import { group } from '../../crds/reference-model.ts';
import type { KubeClient } from '../kube/client.ts';
import { ignoreNotFound } from '../kube/errors.ts';
import type { Informer } from '../kube/informer.ts';
import { type KubeObject, keyOf, type Resource, refOf } from '../kube/resources.ts';
import type { ControllerMetrics } from './metrics.ts';
import { covers } from './plan/covers.ts';
import { isOurs, type Labelled } from './resources/meta.ts';

export const fieldManager = 'refmodel-operator';

/** Hash of what was applied last: tells that a field we no longer give must go. */
const appliedAnnotation = `${group}/applied`;

export interface Meta extends NonNullable<Labelled['metadata']> {
  name?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  annotations?: Record<string, string>;
}

export interface Child extends KubeObject {
  metadata?: Meta;
}

/** A kind of object that we make, and our cache of those we made. */
export interface Kind<T extends Child> {
  resource: Resource<T>;
  cache: Informer<T>;
}

export class Applier {
  readonly #client: KubeClient;
  readonly #metrics: ControllerMetrics;

  constructor(client: KubeClient, metrics: ControllerMetrics) {
    this.#client = client;
    this.#metrics = metrics;
  }

  /**
   * The object as it is now, or undefined when there is none of that name.
   * Throws NAME_TAKEN when there is one that is not ours.
   */
  async find<T extends Child>(
    kind: Kind<T>,
    desired: T,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const cached = kind.cache.get(keyOf(desired));
    const live =
      cached ??
      (await this.#client.get(kind.resource, refOf(desired), signal).catch(ignoreNotFound));
    if (live && !isOurs(live, desired)) {
      const name = `${kind.resource.kind} "${keyOf(desired)}"`;
      throw new AppError('NAME_TAKEN', `${name} exists and does not belong to a ReferenceModel`);
    }
    return live;
  }

  /** Makes `live`, as found, say what `desired` says. */
  async ensure<T extends Child>(
    kind: Kind<T>,
    objects: { live: T | undefined; desired: T },
    signal: AbortSignal,
  ): Promise<T> {
    const { live, desired } = objects;
    const wanted = withHash(desired);
    if (live && covers(live, wanted)) return live;
    // With the uid, only this very object is changed. Without one, an object that somebody made since we looked
    // holds other values: the apply is not forced and fails with a conflict.
    const { uid } = live?.metadata ?? {};
    const object = uid ? { ...wanted, metadata: { ...wanted.metadata, uid } } : wanted;
    return this.apply(kind, object, { fieldManager, force: uid !== undefined, signal });
  }

  /** One server-side apply, taken into the cache. */
  async apply<T extends Child>(
    kind: Kind<T>,
    intent: KubeObject,
    options: { fieldManager: string; force: boolean; signal: AbortSignal },
  ): Promise<T> {
    const written = await this.#client.apply(kind.resource, intent, options);
    this.#metrics.wrote(kind.resource.kind, 'apply');
    kind.cache.store(written);
    return written;
  }

  async remove<T extends Child>(kind: Kind<T>, live: T, signal: AbortSignal): Promise<void> {
    const { uid } = live.metadata ?? {};
    await this.#client.delete(kind.resource, refOf(live), { uid }, signal).catch(ignoreNotFound);
    this.#metrics.wrote(kind.resource.kind, 'delete');
  }
}

function withHash<T extends Child>(desired: T): T {
  const hash = createHash('sha256').update(JSON.stringify(desired)).digest('hex').slice(0, 16);
  const { metadata } = desired;
  const annotations = { ...metadata?.annotations, [appliedAnnotation]: hash };
  return { ...desired, metadata: { ...metadata, annotations } };
}
