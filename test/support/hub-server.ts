// A small Hugging Face hub on loopback: lists and serves folders as repositories, sends large files to a second origin
// as the real one does, and misbehaves when it is told to. Facts of the API: huggingface.co/docs/hub/api.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface HubRepo {
  /** By name; the values of a folder with `filesOf`. */
  files: Readonly<Record<string, Buffer>>;
  /** Tokens that may read it; unset: everybody. */
  readers?: readonly string[];
  /** Hides itself from others instead of saying that it is gated. */
  isPrivate?: boolean;
}

/** What goes wrong with the next requests to `at` whose address contains `file`. */
export interface Fault {
  at: 'list' | 'resolve' | 'storage';
  file?: string;
  /** Requests that it befalls. Default: 1. */
  times?: number;
  status?: number;
  headers?: Readonly<Record<string, string>>;
  /** The connection is cut after this many bytes of the body. */
  cutAfter?: number;
  /** Sends something else of the same length. */
  isGarbled?: boolean;
  /** Sends this instead. */
  body?: string;
  ignoresRange?: boolean;
  /** Pause after each 64 KiB. Milliseconds. */
  slowMs?: number;
}

export interface HubRequest {
  at: Fault['at'];
  path: string;
  range: string | undefined;
  authorization: string | undefined;
  /** Bytes of the body that were sent. */
  sent: number;
}

/** The files right in `folder`. */
export const filesOf = (folder: string): Record<string, Buffer> =>
  Object.fromEntries(
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => [name, readFileSync(path.join(folder, name))]),
  );

const sha1 = (content: Buffer | string) => createHash('sha1').update(content).digest('hex');
export const sha256 = (content: Buffer | string) =>
  createHash('sha256').update(content).digest('hex');
const oidOf = (content: Buffer) =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
const pieceBytes = 65_536;
/** In Large File Storage. */
const isLarge = (name: string, content: Buffer) =>
  name.endsWith('.safetensors') && content.length >= 1024;
export const etagOf = (name: string, content: Buffer) =>
  isLarge(name, content) ? sha256(content) : oidOf(content);

interface Commit {
  sha: string;
  files: Readonly<Record<string, Buffer>>;
}

interface Resolving {
  commit: Commit;
  file: string;
  request: HubRequest;
  fault: Fault | undefined;
}

const addresses = [
  /^\/api\/models\/([^/]+\/[^/]+)\/revision\/([^/]+)$/,
  /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/,
];

export class HubServer implements AsyncDisposable {
  readonly requests: HubRequest[] = [];
  /** Answers of the storage that were under way at the same time, at most. */
  mostAtOnce = 0;
  #atOnce = 0;
  readonly #faults: Fault[] = [];
  readonly #repos = new Map<string, HubRepo>();
  readonly #revisions = new Map<string, Commit>();
  readonly #hub: Server;
  readonly #storage: Server;

  private constructor() {
    this.#hub = createServer((req, res) => void this.#answerHub(req, res));
    this.#storage = createServer((req, res) => void this.#answerStorage(req, res));
  }

  static async start(repos: Readonly<Record<string, HubRepo>>): Promise<HubServer> {
    const server = new HubServer();
    for (const [name, repo] of Object.entries(repos)) {
      server.#repos.set(name, repo);
      server.commit(name, repo.files);
    }
    for (const each of [server.#hub, server.#storage]) {
      await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve));
    }
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  /** Another commit: main moves. Gives its sha. */
  commit(repo: string, files: Readonly<Record<string, Buffer>>, branch = 'main'): string {
    const sha = sha1(JSON.stringify(Object.entries(files).map(([n, c]) => [n, sha256(c)])));
    const commit = { sha, files };
    this.#revisions.set(`${repo}@${branch}`, commit);
    this.#revisions.set(`${repo}@${sha}`, commit);
    return sha;
  }

  fault(...faults: Fault[]): void {
    this.#faults.push(...faults.map((fault) => ({ ...fault })));
  }

  /** Bytes of files that were sent, by all answers together. */
  get bytesSent(): number {
    return this.requests.reduce((sum, { at, sent }) => (at === 'list' ? sum : sum + sent), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  async #answerHub(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { repo, revision, file } = parse(String(req.url));
    const request = this.#record(file === undefined ? 'list' : 'resolve', req);
    const fault = this.#faultFor(request);
    if (fault?.status) return end(res, fault.status, fault.headers);
    const commit = this.#revisions.get(`${repo}@${revision}`);
    const reason = this.#reasonAgainst(repo, commit, tokenOf(req));
    if (reason || !commit) return refuse(res, reason ?? 'RevisionNotFound', tokenOf(req));
    if (file === undefined) return send(res, fault?.body ?? listing(commit), request, fault);
    return this.#resolve(res, { commit, file, request, fault });
  }

  async #resolve(res: ServerResponse, { commit, file, request, fault }: Resolving): Promise<void> {
    const content = commit.files[file];
    if (!content) return end(res, 404, { 'x-error-code': 'EntryNotFound' });
    const etag = `"${etagOf(file, content)}"`;
    res.setHeader('x-repo-commit', commit.sha);
    if (!isLarge(file, content)) {
      res.setHeader('etag', etag);
      return send(res, content, request, fault);
    }
    const { port } = this.#storage.address() as AddressInfo;
    return end(res, 302, {
      location: `http://127.0.0.1:${port}/${sha256(content)}/${file}?signature=s3cret`,
      'x-linked-etag': etag,
      'x-linked-size': String(content.length),
    });
  }

  async #answerStorage(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const request = this.#record('storage', req);
    const fault = this.#faultFor(request);
    if (fault?.status) return end(res, fault.status, fault.headers);
    if (req.headers.authorization) return end(res, 400); // as S3: the address is signed already
    const [, hash] = (req.url ?? '').split('/');
    for (const { files } of this.#revisions.values()) {
      const content = Object.values(files).find((each) => sha256(each) === hash);
      if (!content) continue;
      this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
      await send(res, content, request, fault);
      this.#atOnce -= 1;
      return;
    }
    end(res, 403);
  }

  #record(at: Fault['at'], req: IncomingMessage): HubRequest {
    const { range, authorization } = req.headers;
    const request = { at, path: req.url ?? '', range, authorization, sent: 0 };
    this.requests.push(request);
    return request;
  }

  #faultFor({ at, path }: HubRequest): Fault | undefined {
    const fault = this.#faults.find(
      (each) => each.at === at && path.includes(each.file ?? '') && (each.times ?? 1) > 0,
    );
    if (fault) fault.times = (fault.times ?? 1) - 1;
    return fault;
  }

  #reasonAgainst(name: string, commit: Commit | undefined, token: string): Reason | undefined {
    const repo = this.#repos.get(name);
    if (token === 'expired') return 'Unauthorized';
    if (!repo) return 'RepoNotFound';
    if (!(repo.readers?.includes(token) ?? true))
      return repo.isPrivate ? 'RepoNotFound' : 'GatedRepo';
    return commit ? undefined : 'RevisionNotFound';
  }
}

/** Without a token, and with one. */
const statuses = {
  Unauthorized: [401, 401],
  RepoNotFound: [401, 404],
  GatedRepo: [401, 403],
  RevisionNotFound: [404, 404],
} as const;
type Reason = keyof typeof statuses;

const refuse = (res: ServerResponse, reason: Reason, token: string) =>
  end(res, statuses[reason][token ? 1 : 0], { 'x-error-code': reason });

const tokenOf = (req: IncomingMessage) => req.headers.authorization?.replace('Bearer ', '') ?? '';

function parse(url: string): { repo: string; revision: string; file: string | undefined } {
  const { pathname } = new URL(url, 'http://hub');
  const match = addresses.map((address) => address.exec(pathname)).find(Boolean) ?? [];
  const [, repo = '', revision = '', file] = match.map((part) => decodeURIComponent(part));
  return { repo, revision, file };
}

function listing({ sha, files }: Commit): string {
  const siblings = Object.entries(files).map(([rfilename, content]) => ({
    rfilename,
    blobId: isLarge(rfilename, content) ? sha1(`pointer of ${rfilename}`) : oidOf(content),
    size: content.length,
    ...(isLarge(rfilename, content) && {
      lfs: { sha256: sha256(content), size: content.length, pointerSize: 134 },
    }),
  }));
  return JSON.stringify({ id: 'a/b', sha, gated: false, private: false, siblings });
}

function end(res: ServerResponse, status: number, headers: Fault['headers'] = {}): void {
  for (const [name, value] of Object.entries(headers)) if (value) res.setHeader(name, value);
  res.writeHead(status).end();
}

async function send(
  res: ServerResponse,
  content: Buffer | string,
  request: HubRequest,
  fault: Fault = { at: request.at },
): Promise<void> {
  const whole = Buffer.from(content);
  const first = fault.ignoresRange ? 0 : firstByte(request);
  const part = whole.subarray(first);
  if (first > 0) {
    res.setHeader('content-range', `bytes ${first}-${whole.length - 1}/${whole.length}`);
  }
  res.setHeader('content-length', part.length);
  res.writeHead(first > 0 ? 206 : 200);
  const body = fault.isGarbled ? Buffer.alloc(part.length, '?') : part;
  await sendPieces(res, body.subarray(0, fault.cutAfter), request, fault);
  if ((fault.cutAfter ?? body.length) < body.length) res.destroy();
  else res.end();
}

const firstByte = ({ range }: HubRequest) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);

async function sendPieces(
  res: ServerResponse,
  body: Buffer,
  request: HubRequest,
  fault: Fault,
): Promise<void> {
  for (let sent = 0; sent < body.length && !res.destroyed; sent += pieceBytes) {
    const piece = body.subarray(sent, sent + pieceBytes);
    await new Promise((resolve) => res.write(piece, resolve));
    request.sent += piece.length;
    if (fault.slowMs) await sleep(fault.slowMs);
  }
}
