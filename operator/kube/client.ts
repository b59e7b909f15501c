// The verbs of the Kubernetes API over any Resource: typed, abortable, each call with a time limit.
// Keeps no cache and retries nothing; informer and queue do.
import type { IncomingMessage } from 'node:http';
import { listAnswer, type WatchEvent, watchLine } from './envelopes.ts';
import { KubernetesApiError } from './errors.ts';
import {
  apiVersionOf,
  type KubeObject,
  type ObjectRef,
  type Resource,
  refOf,
  resourcePath,
  resources,
  type Scale,
} from './resources.ts';
import { Transport, type TransportOptions } from './transport.ts';

export interface Selection {
  /** All namespaces when left out. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export interface ListOptions extends Selection {
  limit?: number;
  /** Token of the next page, from the page before. */
  continue?: string;
}

/** Items as the API sent them: whoever keeps them decides what to do with one that cannot be read. */
export interface Page {
  items: readonly KubeObject[];
  resourceVersion: string;
  continue: string | undefined;
}

export interface WatchOptions extends Selection {
  resourceVersion: string;
  /** The server ends the watch after this time. Seconds. */
  timeoutSeconds: number;
}

export interface ApplyOptions {
  fieldManager: string;
  /** Take fields over from other managers instead of failing with a conflict. */
  force: boolean;
}

export interface DeleteOptions {
  /** Only if the object still is this one: another of the same name stays. */
  uid?: string;
  /** Only if it has not changed since. */
  resourceVersion?: string;
}

export class KubeClient {
  readonly #transport: Transport;

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
  }

  async get<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    signal: AbortSignal,
  ): Promise<T> {
    const path = resourcePath(resource, ref);
    return resource.parse(await this.#transport.json({ method: 'GET', path }, signal));
  }

  async list<T extends KubeObject>(
    resource: Resource<T>,
    options: ListOptions,
    signal: AbortSignal,
  ): Promise<Page> {
    const { namespace, ...query } = options;
    const path = resourcePath(resource, { namespace });
    const body = await this.#transport.json({ method: 'GET', path, query }, signal);
    const { items, metadata } = listAnswer.parse(body);
    return {
      items: items ?? [],
      resourceVersion: metadata.resourceVersion ?? '',
      continue: metadata.continue || undefined,
    };
  }

  /**
   * Changes after `resourceVersion`, bookmarks among them, until the server ends the watch or `signal` fires.
   * Throws KubernetesApiError for an ERROR event; 410 means: list again.
   */
  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent> {
    const { namespace, ...selection } = options;
    const path = resourcePath(resource, { namespace });
    const query = { ...selection, watch: true, allowWatchBookmarks: true };
    const answer = await this.#transport.stream({ method: 'GET', path, query }, signal);
    try {
      for await (const line of lines(answer)) yield watchEvent(path, line);
    } catch (err) {
      signal.throwIfAborted();
      throw asWatchError(path, err);
    } finally {
      answer.destroy();
    }
    signal.throwIfAborted();
  }

  async create<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    signal: AbortSignal,
  ): Promise<T> {
    const path = resourcePath(resource, { namespace: object.metadata?.namespace });
    const body = withType(resource, object);
    return resource.parse(await this.#transport.json({ method: 'POST', path, body }, signal));
  }

  /**
   * Server-side apply: creates the object, or sets the fields given and drops those this manager gave before.
   * With metadata.uid it only ever changes that very object.
   */
  async apply<T extends KubeObject>(
    resource: Resource<T>,
    intent: KubeObject,
    options: ApplyOptions & { signal: AbortSignal },
  ): Promise<T> {
    const { signal, fieldManager, force } = options;
    const answer = await this.#transport.json(
      {
        method: 'PATCH',
        path: resourcePath(resource, refOf(intent)),
        query: { fieldManager, force },
        body: withType(resource, intent),
        contentType: 'application/apply-patch+yaml',
      },
      signal,
    );
    return resource.parse(answer);
  }

  /** JSON merge patch: null removes a field, an array is replaced whole. */
  async patch<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef & { subresource?: 'status' },
    change: object,
    signal: AbortSignal,
  ): Promise<T> {
    const answer = await this.#transport.json(
      {
        method: 'PATCH',
        path: resourcePath(resource, ref),
        body: change,
        contentType: 'application/merge-patch+json',
      },
      signal,
    );
    return resource.parse(answer);
  }

  patchStatus<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    status: object,
    signal: AbortSignal,
  ): Promise<T> {
    return this.patch(resource, { ...ref, subresource: 'status' }, { status }, signal);
  }

  /** Replaces the whole object; a conflict when its resourceVersion is not the newest. */
  async replace<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    signal: AbortSignal,
  ): Promise<T> {
    const path = resourcePath(resource, refOf(object));
    const body = withType(resource, object);
    return resource.parse(await this.#transport.json({ method: 'PUT', path, body }, signal));
  }

  async getScale<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    signal: AbortSignal,
  ): Promise<Scale> {
    const path = resourcePath(resource, { ...ref, subresource: 'scale' });
    return resources.scales.parse(await this.#transport.json({ method: 'GET', path }, signal));
  }

  /** Sets replicas on /scale; a conflict when `resourceVersion` is not the newest of the scaled object. */
  async setScale<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    scale: { replicas: number; resourceVersion: string; fieldManager: string },
    signal: AbortSignal,
  ): Promise<Scale> {
    const { replicas, resourceVersion, fieldManager } = scale;
    const body = {
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      metadata: { name: ref.name, namespace: ref.namespace, resourceVersion },
      spec: { replicas },
    };
    const path = resourcePath(resource, { ...ref, subresource: 'scale' });
    return resources.scales.parse(
      await this.#transport.json({ method: 'PUT', path, query: { fieldManager }, body }, signal),
    );
  }

  /** Its dependants are deleted in the background. */
  async delete<T extends KubeObject>(
    resource: Resource<T>,
    ref: ObjectRef,
    options: DeleteOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
      preconditions: options,
    };
    const path = resourcePath(resource, ref);
    await this.#transport.json({ method: 'DELETE', path, body }, signal);
  }

  close(): void {
    this.#transport.close();
  }
}

const withType = (resource: Resource<KubeObject>, object: KubeObject): KubeObject => ({
  ...object,
  apiVersion: apiVersionOf(resource),
  kind: resource.kind,
});

async function* lines(answer: IncomingMessage): AsyncGenerator<string> {
  answer.setEncoding('utf8');
  let rest = '';
  for await (const chunk of answer as AsyncIterable<string>) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) if (line !== '') yield line;
  }
}

function watchEvent(path: string, line: string): WatchEvent {
  const event = watchLine.parse(JSON.parse(line));
  if (event.type !== 'ERROR') return event;
  const { code = 0, message = 'the watch failed', reason = '' } = event.object;
  throw new KubernetesApiError(`watching ${path}: ${message}`, { apiStatus: code, reason });
}

function asWatchError(path: string, err: unknown): KubernetesApiError {
  if (err instanceof KubernetesApiError) return err;
  const text = err instanceof Error ? err.message : String(err);
  const answer = { apiStatus: 0, reason: 'Unreachable', cause: err };
  return new KubernetesApiError(`watching ${path}: ${text}`, answer);
}
