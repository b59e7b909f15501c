// Merges the rows of concurrent requests into passes over one model: first come first served, one pass at a time.
// It knows the lengths of rows, not what is in them.
import { AppError } from '../../common/errors.ts';
import type { ScoredRow, ScoreRow } from './scoring.ts';

export interface BatchOptions {
  /** Rows × longest row of a pass at most. A row that is longer runs alone. */
  maxBatchTokens: number;
  /** Bounds of what waits. A request beyond them could never be queued: the caller refuses it first. */
  maxQueuedRows: number;
  maxQueuedTokens: number;
  score: (rows: readonly ScoreRow[]) => Promise<ScoredRow[]>;
  /** Called when a pass starts. */
  onPass: (pass: Pass) => void;
}

export interface Pass {
  rows: number;
  tokens: number;
  paddedTokens: number;
  /** Milliseconds that its oldest row waited. */
  waitedMs: number;
}

/** A pass may compute this share of padding for the sake of fewer passes. */
const maxPaddingShare = 0.2;

interface Request {
  readonly results: ScoredRow[];
  missing: number;
  resolve(results: ScoredRow[]): void;
  reject(reason: unknown): void;
}

interface Item {
  readonly request: Request;
  readonly index: number;
  readonly row: ScoreRow;
  readonly queuedAtMs: number;
}

/**
 * Which of the rows that wait make the next pass: indices into `lengths`, which stand in order of arrival.
 * The first is always among them, so that none waits for ever; others join it where they fit.
 */
export function planPass(lengths: readonly number[], maxBatchTokens: number): number[] {
  const chosen: number[] = [];
  let longest = 0;
  let tokens = 0;
  for (const [index, length] of lengths.entries()) {
    if (longest * (chosen.length + 1) > maxBatchTokens) break;
    const wide = Math.max(longest, length);
    const padded = wide * (chosen.length + 1);
    const fits = padded <= maxBatchTokens && tokens + length >= padded * (1 - maxPaddingShare);
    if (index > 0 && !fits) continue;
    chosen.push(index);
    longest = wide;
    tokens += length;
  }
  return chosen;
}

export class BatchQueue {
  readonly #options: BatchOptions;
  #items: Item[] = [];
  #tokens = 0;
  #isRunning = false;

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  /**
   * Scores `rows` in as many passes as they need, together with what else waits; results in the same order.
   * Rejects with QUEUE_FULL at once, with the signal's reason when it fires, or with what its pass failed of.
   */
  async submit(rows: readonly ScoreRow[], signal: AbortSignal): Promise<ScoredRow[]> {
    signal.throwIfAborted();
    if (rows.length === 0) return [];
    this.#admit(rows);
    let leave = () => {};
    try {
      return await new Promise<ScoredRow[]>((resolve, reject) => {
        const request: Request = { results: [], missing: rows.length, resolve, reject };
        leave = () => this.#fail(request, signal.reason);
        signal.addEventListener('abort', leave, { once: true });
        this.#enqueue(request, rows);
      });
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  #admit(rows: readonly ScoreRow[]): void {
    const { maxQueuedRows, maxQueuedTokens } = this.#options;
    const isFull =
      this.#items.length + rows.length > maxQueuedRows ||
      this.#tokens + countTokens(rows) > maxQueuedTokens;
    if (isFull) throw new AppError('QUEUE_FULL', `queueing ${rows.length} rows: too many wait`);
  }

  #enqueue(request: Request, rows: readonly ScoreRow[]): void {
    const queuedAtMs = performance.now();
    const items = rows.map((row, index) => ({ request, index, row, queuedAtMs }));
    this.#items = this.#items.concat(items);
    this.#tokens += countTokens(rows);
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#items.length > 0) {
      const items = this.#take();
      try {
        const results = await this.#options.score(items.map((item) => item.row));
        for (const [i, item] of items.entries()) deliver(item, results[i]);
      } catch (err) {
        for (const item of items) this.#fail(item.request, err);
      }
    }
    this.#isRunning = false;
  }

  /** Takes the rows of the next pass out of the queue. */
  #take(): Item[] {
    const lengths = this.#items.map((item) => item.row.tokens.length);
    const chosen = new Set(planPass(lengths, this.#options.maxBatchTokens));
    const items = this.#items.filter((_, index) => chosen.has(index));
    this.#items = this.#items.filter((_, index) => !chosen.has(index));
    const tokens = countTokens(items.map((item) => item.row));
    this.#tokens -= tokens;
    this.#options.onPass({
      rows: items.length,
      tokens,
      paddedTokens: items.length * longest(items),
      waitedMs: performance.now() - (items[0]?.queuedAtMs ?? 0),
    });
    return items;
  }

  /** The request is over: what of it still waits is dropped, what is in a pass now has no one to go to. */
  #fail(request: Request, reason: unknown): void {
    this.#items = this.#items.filter((item) => item.request !== request);
    this.#tokens = countTokens(this.#items.map((item) => item.row));
    request.reject(reason);
  }
}

const countTokens = (rows: readonly ScoreRow[]) =>
  rows.reduce((sum, row) => sum + row.tokens.length, 0);

const longest = (items: readonly Item[]) =>
  items.reduce((length, { row }) => Math.max(length, row.tokens.length), 0);

function deliver({ request, index }: Item, result: ScoredRow | undefined): void {
  if (!result) {
    request.reject(new AppError('INTERNAL', 'scoring: fewer results than rows'));
    return;
  }
  request.results[index] = result;
  request.missing -= 1;
  if (request.missing === 0) request.resolve(request.results);
}
