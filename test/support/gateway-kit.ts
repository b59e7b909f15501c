// Small real things around a gateway: a backend that a test moves by hand, and pods that are HTTP servers.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock } from '../../common/clock.ts';
import { type Listening, listen } from '../../common/http.ts';
import { type Logger, silentLogger } from '../../common/log.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import { noReviews, type Reviews } from '../../operator/gateway/access/reviews.ts';
import type {
  Backend,
  BackendChange,
  Endpoint,
  GatewayModel,
} from '../../operator/gateway/backend.ts';
import type { RequestSettings } from '../../operator/gateway/config.ts';
import { createGateway, type Gateway } from '../../operator/gateway/gateway.ts';
import type { RunLease } from '../../operator/lease.ts';
import { type ServerState, serverState } from '../../server/contract.ts';

export const model = (overrides: Partial<GatewayModel> = {}): GatewayModel => ({
  key: 'rl/tiny',
  pool: 'rl/rfm-pool-cpu',
  acceptance: { state: 'Accepted' },
  access: 'Anonymous',
  hasLarger: false,
  concurrency: 20,
  hold: { timeoutMs: undefined, maxRequests: 1000, maxBytes: 1_000_000 },
  maxSequenceTokens: 1024,
  maxModels: 2,
  ...overrides,
});

export const endpoint = (overrides: Partial<Endpoint> = {}): Endpoint => ({
  id: 'pod-a',
  pool: 'rl/rfm-pool-cpu',
  host: '127.0.0.1',
  port: 1,
  ...overrides,
});

export const state = (overrides: Partial<ServerState> = {}): ServerState =>
  serverState.parse({ models: [], maxModels: 2, isDraining: false, ...overrides });

export const resident = (
  name: string,
  residency: 'Loading' | 'Loaded' | 'Failed' = 'Loaded',
): ServerState['models'][number] => ({
  name,
  residency,
  inFlight: 0,
  lastUsed: '2026-01-01T00:00:00.000Z',
});

export const settings = (overrides: Partial<RequestSettings> = {}): RequestSettings => ({
  holdTimeoutMs: 100_000,
  holdMaxRequests: 100,
  holdMaxBytes: 1_000_000,
  workTimeoutMs: 600_000,
  connectTimeoutMs: 3000,
  maxBodyBytes: 100_000,
  ...overrides,
});

/** A backend whose truth the test sets. `onWake` may bring up an endpoint. */
export class FakeBackend implements Backend {
  readonly wakes: string[] = [];
  onWake: (pool: string) => void | Promise<void> = () => {};
  isReady = true;
  troubles = new Map<string, string>();
  declared: readonly ReferenceModel[] = [];
  #models = new Map<string, GatewayModel>();
  #endpoints: readonly Endpoint[] = [];
  #starting: readonly Endpoint[] = [];
  readonly #leases = new Map<string, RunLease>();
  readonly #listeners = new Set<(change: BackendChange) => void>();

  constructor(...models: GatewayModel[]) {
    for (const each of models) this.#models.set(each.key, each);
  }

  isSynced(): boolean {
    return this.isReady;
  }

  models(): ReadonlyMap<string, GatewayModel> {
    return this.#models;
  }

  objects(): readonly ReferenceModel[] {
    return this.declared;
  }

  endpoints(pool: string): readonly Endpoint[] {
    return this.#endpoints.filter((e) => e.pool === pool);
  }

  starting(pool: string): readonly Endpoint[] {
    return this.#starting.filter((e) => e.pool === pool);
  }

  allEndpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  subscribe(listener: (change: BackendChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async wake(pool: string): Promise<void> {
    this.wakes.push(pool);
    await this.onWake(pool);
  }

  leases(): readonly RunLease[] {
    return [...this.#leases.values()];
  }

  async keepLease(lease: RunLease): Promise<void> {
    this.#leases.set(lease.run, lease);
  }

  async dropLease(run: string): Promise<void> {
    this.#leases.delete(run);
  }

  trouble(pool: string): string | undefined {
    return this.troubles.get(pool);
  }

  set(changed: GatewayModel): void {
    this.#models = new Map(this.#models).set(changed.key, changed);
    this.#notify({ model: changed.key });
  }

  remove(key: string): void {
    this.#models = new Map(this.#models);
    this.#models.delete(key);
    this.#notify({ model: key });
  }

  /** Its address is known, and it is not ready. */
  announce(starting: Endpoint): void {
    this.#starting = [...this.#starting, starting];
    this.#notify({ pool: starting.pool });
  }

  up(ready: Endpoint): void {
    this.#starting = this.#starting.filter((e) => e !== ready);
    this.#endpoints = [...this.#endpoints, ready];
    this.#notify({ pool: ready.pool });
  }

  down(gone: Endpoint): void {
    this.#endpoints = this.#endpoints.filter((e) => e !== gone);
    this.#starting = this.#starting.filter((e) => e !== gone);
    this.#notify({ pool: gone.pool });
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  #notify(change: BackendChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

export interface Received {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
  bytes: Buffer;
}
type Answer = (request: Received, res: ServerResponse, req: IncomingMessage) => void;

/** A pod: streams its state, and answers everything else as the test says. */
export class FakePod {
  readonly server: Server;
  readonly endpoint: Endpoint;
  readonly received: Received[] = [];
  answer: Answer;
  #state: ServerState = state();
  readonly #watchers = new Set<ServerResponse>();

  private constructor(server: Server, id: string, pool: string, answer: Answer) {
    this.server = server;
    this.answer = answer;
    const { port } = server.address() as AddressInfo;
    this.endpoint = { id, pool, host: '127.0.0.1', port };
    server.on('request', (req, res) => void this.#serve(req, res));
  }

  static async start(
    options: { id?: string; pool?: string; port?: number; answer?: Answer } = {},
  ): Promise<FakePod> {
    const server = createServer();
    server.listen(options.port ?? 0, '127.0.0.1');
    await once(server, 'listening');
    const { id = 'pod-a', pool = 'rl/rfm-pool-cpu', answer = tellPod(id) } = options;
    return new FakePod(server, id, pool, answer);
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  tell(next: ServerState): void {
    this.#state = next;
    for (const watcher of this.#watchers) watcher.write(`${JSON.stringify(next)}\n`);
  }

  /** Ends the state streams only. */
  breakStreams(): void {
    for (const watcher of this.#watchers) watcher.destroy();
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.url === '/state?watch=1') {
      this.#watchers.add(res);
      res.once('close', () => this.#watchers.delete(res));
      res.write(`${JSON.stringify(this.#state)}\n`);
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const { method = '', url = '', headers } = req;
    const bytes = Buffer.concat(chunks);
    const received = { method, url, headers, body: bytes.toString('utf8'), bytes };
    this.received.push(received);
    this.answer(received, res, req);
  }
}

/** The default answer: which pod it was, and what it was asked for. */
const tellPod =
  (pod: string): Answer =>
  ({ headers }, res) =>
    sendJson(res, 200, { pod, model: headers['x-refmodel-model'] });

export function sendJson(res: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length });
  res.end(text);
}

/** Waits for something that happens by itself soon: sockets have no promise to wait on. */
export async function eventually(isTrue: () => boolean, what = 'condition'): Promise<void> {
  const end = Date.now() + 20_000;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await sleep(5);
  }
}

/** A promise to settle by hand. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((r) => {
    resolve = r;
  });
  return { promise, resolve };
}

export interface TestGateway {
  gateway: Gateway;
  backend: FakeBackend;
  traffic: Listening;
  url: string;
  /** POST, or as `init` says. */
  send: (path: string, init?: RequestInit) => Promise<Response>;
  close: (drainMs?: number) => Promise<void>;
}

/** A whole gateway on loopback over a backend that the test moves. */
export async function startGateway(
  options: {
    models?: GatewayModel[];
    settings?: Partial<RequestSettings>;
    reviews?: Reviews;
    guardsManagement?: boolean;
    hasConsole?: boolean;
    clock?: Clock;
    log?: Logger;
  } = {},
): Promise<TestGateway> {
  const backend = new FakeBackend(...(options.models ?? [model()]));
  const gateway = createGateway({
    name: 'gateway-0',
    backend,
    reviews: options.reviews ?? noReviews,
    guardsManagement: options.guardsManagement ?? false,
    settings: settings(options.settings),
    hasConsole: options.hasConsole ?? true,
    clock: options.clock ?? systemClock,
    log: options.log ?? silentLogger,
  });
  const traffic = await listen(gateway.traffic, 0, '127.0.0.1');
  const url = `http://127.0.0.1:${traffic.port}`;
  return {
    gateway,
    backend,
    traffic,
    url,
    send: (path, init = {}) => fetch(url + path, { method: 'POST', body: '{}', ...init }),
    async close(drainMs = 0) {
      await gateway.close([traffic], drainMs);
    },
  };
}

/** The `error.code` of an answer. */
export async function codeOf(response: Response): Promise<string> {
  const body = (await response.json()) as { error: { code: string } };
  return body.error.code;
}
