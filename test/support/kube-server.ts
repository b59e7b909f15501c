// A small API server in this process: one store for all kinds, resource versions, 409, watches, bookmarks, 410.
// It validates nothing, sets no defaults and runs no controller; server-side apply is a merge. Tests of what a real
// API server decides run against a real one.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ApiServer } from '../../operator/kube/api-server.ts';

type Json = Record<string, unknown>;
interface Meta {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation: number;
  labels?: Record<string, string>;
}
export interface Stored extends Json {
  metadata: Meta;
}
interface Change {
  version: number;
  collection: string;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: Stored;
}
interface Watcher {
  collection: string;
  namespace: string | undefined;
  labels: [string, string | undefined][];
  answer: ServerResponse;
}
interface Target {
  /** Group, version and plural: "apps/v1/deployments". */
  collection: string;
  namespace?: string;
  name?: string;
  subresource?: string;
}
export interface SeenRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  contentType: string | undefined;
}

export class KubeServer implements AsyncDisposable {
  /** Every request, oldest first. */
  readonly requests: SeenRequest[] = [];
  readonly #objects = new Map<string, Stored>();
  readonly #changes: Change[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #failures: { status: number; reason: string }[] = [];
  readonly #server: Server;
  #version = 100;
  #oldest = 0;
  #isStalled = false;

  private constructor() {
    this.#server = createServer((req, res) => void this.#handle(req, res));
  }

  static async start(): Promise<KubeServer> {
    const server = new KubeServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get address(): ApiServer {
    const { port } = this.#server.address() as AddressInfo;
    const url = new URL(`http://127.0.0.1:${port}`);
    return { url, hasProxy: false, authenticate: async () => {} };
  }

  /** Watches that are open now. */
  get watches(): number {
    return this.#watchers.size;
  }

  /** Creates or replaces an object behind everybody's back, as another client would. */
  put(collection: string, object: Json & { metadata: Partial<Meta> }): Stored {
    const key = keyOf(collection, object.metadata);
    return this.#store(collection, merge(this.#objects.get(key) ?? {}, object) as Stored);
  }

  remove(collection: string, name: string, namespace?: string): void {
    this.#delete(collection, keyOf(collection, { name, namespace }));
  }

  get(collection: string, name: string, namespace?: string): Stored | undefined {
    return this.#objects.get(keyOf(collection, { name, namespace }));
  }

  /** In the order in which they were made. */
  all(collection: string): Stored[] {
    const ofIt = [...this.#objects].filter(([key]) => key.startsWith(`${collection} `));
    return ofIt.map(([, object]) => object);
  }

  /** The next requests get these refusals, one each. */
  failNext(...failures: { status: number; reason: string }[]): void {
    this.#failures.push(...failures);
  }

  /** From now on no request is answered. */
  stall(): void {
    this.#isStalled = true;
  }

  /** Forgets the past: watches from before now get 410. */
  compact(): void {
    this.#oldest = this.#version;
    this.#version += 1;
  }

  /** Ends every watch as a server does that goes away: without a word. */
  dropWatches(): void {
    for (const { answer } of this.#watchers) answer.destroy();
  }

  bookmark(): void {
    const object = { metadata: { resourceVersion: String(this.#version) } };
    for (const { answer } of this.#watchers) writeLine(answer, { type: 'BOOKMARK', object });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '/', 'http://fake');
    const body = await readJson(req);
    const contentType = req.headers['content-type'];
    const method = req.method ?? 'GET';
    this.requests.push({ method, path: url.pathname, query: url.searchParams, contentType });
    if (this.#isStalled) return;
    const failure = this.#failures.shift();
    if (failure) return refuse(res, failure.status, failure.reason);
    const target = parsePath(url.pathname);
    if (method === 'GET') return this.#read(target, url.searchParams, res);
    if (method === 'POST') return this.#create(target, body, res);
    return this.#change(method, target, body, res);
  }

  #read(target: Target, query: URLSearchParams, res: ServerResponse): void {
    if (target.name === undefined) {
      return query.has('watch') ? this.#watch(target, query, res) : this.#list(target, query, res);
    }
    const found = this.#objects.get(keyOf(target.collection, { ...target }));
    if (!found) return refuse(res, 404, 'NotFound');
    answer(res, 200, target.subresource === 'scale' ? scaleOf(found) : found);
  }

  #list(target: Target, query: URLSearchParams, res: ServerResponse): void {
    const labels = selector(query);
    const all = [...this.#objects]
      .filter(([key]) => key.startsWith(`${target.collection} `))
      .map(([, object]) => object)
      .filter((object) => matches(object, target.namespace, labels));
    const from = Number(query.get('continue') ?? 0);
    const limit = Number(query.get('limit') ?? all.length) || all.length;
    const next = from + limit < all.length ? String(from + limit) : undefined;
    const metadata = { resourceVersion: String(this.#version), continue: next };
    answer(res, 200, { items: all.slice(from, from + limit), metadata });
  }

  #watch(target: Target, query: URLSearchParams, res: ServerResponse): void {
    const since = Number(query.get('resourceVersion'));
    res.writeHead(200, { 'content-type': 'application/json' });
    res.flushHeaders();
    if (since < this.#oldest) {
      writeLine(res, {
        type: 'ERROR',
        object: { code: 410, reason: 'Expired', message: 'too old' },
      });
      res.end();
      return;
    }
    const { collection, namespace } = target;
    const watcher = { collection, namespace, labels: selector(query), answer: res };
    for (const change of this.#changes) if (change.version > since) tell(watcher, change);
    this.#watchers.add(watcher);
    res.once('close', () => this.#watchers.delete(watcher));
  }

  #create(target: Target, body: Json, res: ServerResponse): void {
    const object = body as Stored;
    object.metadata = {
      ...object.metadata,
      ...(target.namespace && { namespace: target.namespace }),
    };
    if (this.#objects.has(keyOf(target.collection, object.metadata))) {
      return refuse(res, 409, 'AlreadyExists');
    }
    answer(res, 201, this.#store(target.collection, object));
  }

  #change(method: string, target: Target, body: Json, res: ServerResponse): void {
    const key = keyOf(target.collection, target);
    const found = this.#objects.get(key);
    const isApply = 'apiVersion' in body && 'kind' in body; // a merge patch holds neither
    if (!found && !(isApply && method === 'PATCH')) return refuse(res, 404, 'NotFound');
    if (!isCurrent(found, body)) return refuse(res, 409, 'Conflict');
    if (method !== 'DELETE') return this.#write({ method, target, found }, body, res);
    this.#delete(target.collection, key);
    answer(res, 200, { kind: 'Status', status: 'Success' });
  }

  #write(
    { method, target, found }: { method: string; target: Target; found: Stored | undefined },
    body: Json,
    res: ServerResponse,
  ): void {
    const isScale = target.subresource === 'scale';
    const isMerge = method === 'PATCH' || isScale;
    const base = isMerge ? { ...found } : { metadata: found?.metadata };
    const changed = merge(base, isScale ? { spec: body['spec'] } : body);
    const { name, namespace } = target;
    const stored = this.#store(
      target.collection,
      merge(changed, { metadata: { name, namespace } }) as Stored,
    );
    answer(res, 200, isScale ? scaleOf(stored) : stored);
  }

  #store(collection: string, object: Stored): Stored {
    const key = keyOf(collection, object.metadata);
    const before = this.#objects.get(key);
    this.#version += 1;
    const isSameSpec = JSON.stringify(before?.['spec']) === JSON.stringify(object['spec']);
    const generation = before ? before.metadata.generation + (isSameSpec ? 0 : 1) : 1;
    const uid = before?.metadata.uid ?? object.metadata.uid ?? randomUUID();
    const version = { uid, generation, resourceVersion: String(this.#version) };
    const stored = { ...object, metadata: { ...object.metadata, ...version } };
    this.#objects.set(key, stored);
    this.#tellAll({
      version: this.#version,
      collection,
      type: before ? 'MODIFIED' : 'ADDED',
      object: stored,
    });
    return stored;
  }

  #delete(collection: string, key: string): void {
    const found = this.#objects.get(key);
    if (!found) return;
    this.#version += 1;
    this.#objects.delete(key);
    const metadata = { ...found.metadata, resourceVersion: String(this.#version) };
    const object = { ...found, metadata };
    this.#tellAll({ version: this.#version, collection, type: 'DELETED', object });
  }

  #tellAll(change: Change): void {
    this.#changes.push(change);
    for (const watcher of this.#watchers) tell(watcher, change);
  }
}

/** The uid and the resourceVersion that a write names, if any, are those of the object. */
function isCurrent(found: Stored | undefined, body: Json): boolean {
  const given = (body['preconditions'] ?? body['metadata'] ?? {}) as Partial<Meta>;
  const { uid, resourceVersion } = found?.metadata ?? {};
  return (
    (given.uid ?? uid) === uid && (given.resourceVersion ?? resourceVersion) === resourceVersion
  );
}

function tell(watcher: Watcher, { collection, type, object }: Change): void {
  if (watcher.collection !== collection) return;
  if (matches(object, watcher.namespace, watcher.labels))
    writeLine(watcher.answer, { type, object });
}

const writeLine = (res: ServerResponse, value: object) => res.write(`${JSON.stringify(value)}\n`);

function answer(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refuse(res: ServerResponse, code: number, reason: string): void {
  answer(res, code, { kind: 'Status', code, reason, message: `refused: ${reason}` });
}

const keyOf = (
  collection: string,
  at: { name?: string | undefined; namespace?: string | undefined },
) => `${collection} ${at.namespace ?? ''}/${at.name}`;

function parsePath(path: string): Target {
  const parts = path.split('/').filter(Boolean);
  const api = parts[0] === 'api' ? parts.slice(1, 2) : parts.slice(1, 3);
  let rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  const isNamespaced = rest[0] === 'namespaces' && rest.length > 2;
  const namespace = isNamespaced ? rest[1] : undefined;
  if (isNamespaced) rest = rest.slice(2);
  const [plural = '', name, subresource] = rest;
  return {
    collection: [...api, plural].join('/'),
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name: decodeURIComponent(name) }),
    ...(subresource !== undefined && { subresource }),
  };
}

const selector = (query: URLSearchParams): [string, string | undefined][] =>
  (query.get('labelSelector') ?? '')
    .split(',')
    .filter(Boolean)
    .map((term) => [term.split('=')[0] ?? '', term.split('=')[1]]);

function matches(
  { metadata }: Stored,
  namespace: string | undefined,
  labels: [string, string | undefined][],
): boolean {
  const isThere = namespace === undefined || metadata.namespace === namespace;
  return (
    isThere &&
    labels.every(([name, value]) =>
      value === undefined ? name in (metadata.labels ?? {}) : metadata.labels?.[name] === value,
    )
  );
}

function scaleOf(object: Stored): object {
  const { replicas = 0 } = (object['spec'] ?? {}) as { replicas?: number };
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: object.metadata,
    spec: { replicas },
  };
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** JSON merge patch (RFC 7386). */
function merge(base: Json, change: Json): Json {
  const merged: Json = { ...base };
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete merged[key];
    else if (value !== undefined) {
      const before = merged[key];
      merged[key] = isObject(value) ? merge(isObject(before) ? before : {}, value) : value;
    }
  }
  return merged;
}

async function readJson(req: IncomingMessage): Promise<Json> {
  let text = '';
  for await (const chunk of req) text += String(chunk);
  return text === '' ? {} : (JSON.parse(text) as Json);
}
