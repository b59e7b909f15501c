// Requests that go on while a test breaks things: several callers with kept connections and OpenAI's own client, which
// sends again what finds nobody, breaks off or is answered 5xx. Each try that was lost is kept; so is what it gave up.
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';

export interface LoadOptions {
  /** Whole URL of the route. */
  url: string;
  body: object;
  callers: number;
  /** Pause of a caller between an answer and its next request. Milliseconds. */
  pauseMs: number;
}

/** A try that was not answered 200. */
export interface Lost {
  /** When it failed. Epoch milliseconds. */
  atMs: number;
  /** How long it took, and why it failed. */
  what: string;
  /** It found nobody to send it to. */
  isUnsent: boolean;
}

export interface LoadResult {
  /** Requests that were answered. */
  answered: number;
  lost: Lost[];
  /** Requests that the client gave up after all its tries. */
  lostForGood: number;
  /** Longest time that a request took. Milliseconds. */
  slowestMs: number;
}

const timeoutMs = 150_000;

export class Load implements AsyncDisposable {
  readonly #options: LoadOptions;
  readonly #client: OpenAI;
  readonly #callers: Promise<void>[];
  readonly #result: LoadResult = { answered: 0, lost: [], lostForGood: 0, slowestMs: 0 };
  #isOver = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#client = new OpenAI({
      apiKey: 'none',
      baseURL: new URL(options.url).origin,
      timeout: timeoutMs,
      fetch: (url, init) => this.#try(url, init),
    });
    this.#callers = Array.from({ length: options.callers }, () => this.#call());
  }

  get answered(): number {
    return this.#result.answered;
  }

  /** Lets requests in flight end; then what there was. */
  async stop(): Promise<LoadResult> {
    this.#isOver = true;
    await Promise.all(this.#callers);
    return this.#result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #call(): Promise<void> {
    const { url, body, pauseMs } = this.#options;
    const { pathname, search } = new URL(url);
    while (!this.#isOver) {
      const startedAt = Date.now();
      await this.#client.post(pathname + search, { body }).then(
        () => {
          this.#result.answered += 1;
        },
        () => {
          this.#result.lostForGood += 1;
        },
      );
      this.#result.slowestMs = Math.max(this.#result.slowestMs, Date.now() - startedAt);
      await sleep(pauseMs);
    }
  }

  async #try(...[url, init]: Parameters<typeof fetch>): Promise<Response> {
    const startedAt = Date.now();
    try {
      const answer = await fetch(url, init);
      const { status, headers } = answer;
      const text = await answer.text(); // it may break off too
      if (status !== 200) this.#lost(startedAt, `status ${status}: ${text}`, false);
      return new Response(text, { status, headers });
    } catch (err) {
      const { cause = err } = err instanceof Error ? err : {};
      const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
      this.#lost(startedAt, String(cause), code === 'ECONNREFUSED');
      throw err;
    }
  }

  #lost(startedAt: number, why: string, isUnsent: boolean): void {
    const atMs = Date.now();
    const what = `${new Date(atMs).toISOString()}, after ${atMs - startedAt} ms: ${why}`;
    this.#result.lost.push({ atMs, what, isUnsent });
  }
}
