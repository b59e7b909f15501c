// Merges the rows of concurrent requests into passes over one model, one pass after the other. Callers take turns.
// It knows the tokens of rows, not what is computed from them.
import { AppError } from '../../../common/errors.ts';
import { noTracing, type Span, type Tracing } from '../../../common/tracing.ts';
import { type Pass, PassDraft } from './pass.ts';
import { compareEntries, toEntry } from './prefix-tree.ts';

export interface QueuedRow {
  readonly tokens: Int32Array;
}

export type Outcome<Result> = Result | AppError;

export interface BatchOptions<Row, Result> {
  /** Tokens of a pass at most; what its rows begin with alike counts once. A row that is longer runs alone. */
  maxBatchTokens: number;
  /** Rows share what they begin with in whole pages of so many tokens. Default: token by token. */
  pageTokens?: number;
  /** Bounds of what waits. A request beyond them could never be queued: the caller refuses it first. */
  maxQueuedRows: number;
  maxQueuedTokens: number;
  /**
   * The next pass is handed over while one is computed, once as much waits as is computed: a GPU would be idle while
   * answers are read and the next pass is on its way. Less than that waits for others to join it. Default: no.
   */
  isAhead?: boolean;
  /** A result for each row, or what it alone failed of; rejects when the whole pass fails. */
  run: (rows: readonly Row[]) => Promise<readonly Outcome<Result>[]>;
  /** Called when a pass starts. */
  onPass: (pass: Pass) => void;
  /** Called when a pass is over, whatever became of it. */
  onPassed?: (seconds: number) => void;
  /** Default: none. */
  tracing?: Tracing;
}

export interface Submission<Row> {
  rows: readonly Row[];
  /** Requests of one caller take turns as one. By default each request is a caller. */
  caller?: string;
}

/** A turn ends after this share of a pass: so much does each other caller delay one, at most. */
const turnShare = 1 / 4;

interface Request<Row, Result> {
  readonly rows: readonly Row[];
  /** Indices of the rows that wait, next one last. Those that begin alike stand together, so that they meet in a pass. */
  readonly waiting: number[];
  readonly caller: Caller<Row, Result>;
  readonly queuedAtMs: number;
  /** What it is submitted for, where that is traced; and its wait for the first of its rows to be taken. */
  readonly span: Span | undefined;
  readonly wait: Span;
  readonly results: Result[];
  missing: number;
  resolve(results: Result[]): void;
  reject(reason: unknown): void;
}

/** Who takes turns. Its requests have rows that wait, and are served in order of arrival. */
interface Caller<Row, Result> {
  readonly name: string | undefined;
  readonly requests: Set<Request<Row, Result>>;
}

interface Item<Row, Result> {
  readonly request: Request<Row, Result>;
  readonly index: number;
  readonly row: Row;
}

export class BatchQueue<Row extends QueuedRow, Result> {
  readonly #options: BatchOptions<Row, Result>;
  readonly #tracing: Tracing;
  /** Callers with rows that wait, the next to be served first. */
  #turns: Caller<Row, Result>[] = [];
  #rows = 0;
  #tokens = 0;
  /** Passes that were handed over, the one that is computed first. */
  readonly #passes: Pass[] = [];
  #lastEndMs = 0;

  constructor(options: BatchOptions<Row, Result>) {
    this.#options = options;
    this.#tracing = options.tracing ?? noTracing;
  }

  /** Rows that wait for a pass. */
  get queuedRows(): number {
    return this.#rows;
  }

  /** Tokens of the rows that wait. */
  get queuedTokens(): number {
    return this.#tokens;
  }

  /**
   * Runs `rows` in as many passes as they need, together with what else waits; results in the same order.
   * Rejects with QUEUE_FULL at once, with the signal's reason when it fires, or with what its pass failed of.
   */
  async submit({ rows, caller }: Submission<Row>, signal: AbortSignal): Promise<Result[]> {
    signal.throwIfAborted();
    if (rows.length === 0) return [];
    this.#admit(rows);
    let leave = () => {};
    try {
      return await new Promise<Result[]>((resolve, reject) => {
        const request: Request<Row, Result> = {
          rows,
          waiting: inOrder(rows),
          caller: this.#callerNamed(caller),
          queuedAtMs: performance.now(),
          span: this.#tracing.active(),
          wait: this.#tracing.start('queue', { attributes: { 'refmodel.rows': rows.length } }),
          results: [],
          missing: rows.length,
          resolve,
          reject,
        };
        leave = () => this.#fail(request, signal.reason);
        signal.addEventListener('abort', leave, { once: true });
        this.#enqueue(request);
      });
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #admit(rows: readonly Row[]): void {
    const { maxQueuedRows, maxQueuedTokens } = this.#options;
    const isFull =
      this.#rows + rows.length > maxQueuedRows ||
      this.#tokens + countTokens(rows) > maxQueuedTokens;
    if (isFull) throw new AppError('QUEUE_FULL', `queueing ${rows.length} rows: too many wait`);
  }

  #callerNamed(name: string | undefined): Caller<Row, Result> {
    const known =
      name === undefined ? undefined : this.#turns.find((caller) => caller.name === name);
    return known ?? { name, requests: new Set() };
  }

  #enqueue(request: Request<Row, Result>): void {
    const { caller } = request;
    if (caller.requests.size === 0) this.#turns.push(caller);
    caller.requests.add(request);
    this.#rows += request.rows.length;
    this.#tokens += countTokens(request.rows);
    this.#advance();
  }

  #advance(): void {
    while (this.#turns.length > 0 && this.#isWanted()) void this.#run();
  }

  /** Whether the next pass is to be handed over now. */
  #isWanted(): boolean {
    const [computed, ahead] = this.#passes;
    if (!computed) return true;
    if (!this.#options.isAhead || ahead) return false;
    return this.#tokens >= Math.min(computed.tokens, this.#options.maxBatchTokens);
  }

  async #run(): Promise<void> {
    const { items, pass } = this.#take();
    this.#passes.push(pass);
    const startedMs = performance.now();
    const span = this.#startSpan(items, pass);
    let error: unknown;
    try {
      const results = await this.#options.run(items.map((item) => item.row));
      for (const [i, item] of items.entries()) this.#settle(item, results[i]);
    } catch (err) {
      error = err;
      for (const request of requestsOf(items)) this.#fail(request, err);
    }
    span.end(error);
    const endMs = performance.now();
    this.#options.onPassed?.((endMs - Math.max(startedMs, this.#lastEndMs)) / 1000);
    this.#lastEndMs = endMs;
    this.#passes.splice(this.#passes.indexOf(pass), 1);
    this.#advance();
  }

  /**
   * Takes the rows of the next pass out of the queue, turn by turn. A caller whose next row does not fit keeps its
   * turn for the pass after; whoever stands first there gets at least one row in, however long that is.
   */
  #take(): { items: Item<Row, Result>[]; pass: Pass } {
    const draft = new PassDraft(this.#options.maxBatchTokens, this.#options.pageTokens);
    const items: Item<Row, Result>[] = [];
    const held: Caller<Row, Result>[] = [];
    const turns = this.#turns;
    for (const caller of turns) {
      const hasRoom = this.#serve(caller, draft, items);
      if (caller.requests.size > 0) (hasRoom ? turns : held).push(caller);
    }
    this.#turns = held;
    const queuedAtMs = Math.min(...Array.from(requestsOf(items), (request) => request.queuedAtMs));
    const pass = draft.report(performance.now() - queuedAtMs);
    this.#options.onPass(pass);
    return { items, pass };
  }

  /** A part of the request that has waited longest, and linked to all whose rows are in it. */
  #startSpan(items: readonly Item<Row, Result>[], pass: Pass): Span {
    const links: Span[] = [];
    for (const { span, wait } of requestsOf(items)) {
      wait.end();
      if (span) links.push(span);
    }
    const { rows, tokens, packedTokens } = pass;
    const attributes = {
      'refmodel.rows': rows,
      'refmodel.tokens': tokens,
      'refmodel.packed_tokens': packedTokens,
    };
    return this.#tracing.start('pass', { parent: links[0], links, attributes });
  }

  /** One turn: the next rows of `caller` into `items`. False when the pass has no room for another. */
  #serve(caller: Caller<Row, Result>, draft: PassDraft, items: Item<Row, Result>[]): boolean {
    const maxTokens = this.#options.maxBatchTokens * turnShare;
    let used = 0;
    for (let item = nextOf(caller); item && used < maxTokens; item = nextOf(caller)) {
      const added = draft.add(item.row.tokens);
      if (added === undefined) return false;
      used += added;
      items.push(item);
      this.#remove(item);
    }
    return true;
  }

  #remove({ request, row }: Item<Row, Result>): void {
    request.waiting.pop();
    if (request.waiting.length === 0) request.caller.requests.delete(request);
    this.#rows -= 1;
    this.#tokens -= row.tokens.length;
  }

  #settle(item: Item<Row, Result>, outcome: Outcome<Result> | undefined): void {
    if (outcome instanceof AppError) this.#fail(item.request, outcome);
    else deliver(item, outcome);
  }

  /** The request is over: what of it still waits is dropped, what is in a pass now has no one to go to. */
  #fail(request: Request<Row, Result>, reason: unknown): void {
    request.wait.end(reason);
    for (let item = itemOf(request); item; item = itemOf(request)) this.#remove(item);
    this.#turns = this.#turns.filter(({ requests }) => requests.size > 0);
    request.reject(reason);
  }
}

const countTokens = (rows: readonly QueuedRow[]) =>
  rows.reduce((sum, row) => sum + row.tokens.length, 0);

/** Indices of `rows`, those that begin alike together. */
const inOrder = (rows: readonly QueuedRow[]): number[] =>
  rows
    .map(({ tokens }, index) => ({ ...toEntry(tokens), index }))
    .sort((a, b) => compareEntries(b, a))
    .map(({ index }) => index);

const requestsOf = <Row, Result>(items: readonly Item<Row, Result>[]) =>
  new Set(items.map(({ request }) => request));

function nextOf<Row, Result>({ requests }: Caller<Row, Result>): Item<Row, Result> | undefined {
  for (const request of requests) return itemOf(request);
  return undefined;
}

function itemOf<Row, Result>(request: Request<Row, Result>): Item<Row, Result> | undefined {
  const index = request.waiting.at(-1);
  const row = index === undefined ? undefined : request.rows[index];
  return index === undefined || row === undefined ? undefined : { request, index, row };
}

function deliver<Row, Result>(
  { request, index }: Item<Row, Result>,
  result: Result | undefined,
): void {
  if (result === undefined) {
    request.reject(new AppError('INTERNAL', 'scoring: fewer results than rows'));
    return;
  }
  request.results[index] = result;
  request.missing -= 1;
  if (request.missing === 0) request.resolve(request.results);
}
