// Requests that go on while a test breaks things: several callers with a pool of kept connections, as trainers have
// them. What is not answered 200, and why, is kept; then it is tried again as the OpenAI client does.
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LoadOptions {
  /** Whole URL of the route. */
  url: string;
  body: object;
  callers: number;
  /** Pause of a caller between an answer and its next request. Milliseconds. */
  pauseMs: number;
}

export interface LoadResult {
  answered: number;
  /** One line per request that was not answered 200. */
  lost: string[];
  /** Of those, how many found nobody to send them to: any client may send them again. */
  unsent: number;
  /** Of those, how many were not answered when they were sent again either, twice. */
  lostForGood: number;
  /** Longest time that a request took. Milliseconds. */
  slowestMs: number;
}

const timeoutMs = 150_000;
/** Pauses before a request is sent again (openai 6: maxRetries 2). Milliseconds. */
const retries = [500, 1000];

export class Load implements AsyncDisposable {
  readonly #options: LoadOptions;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #callers: Promise<void>[];
  readonly #result: LoadResult = {
    answered: 0,
    lost: [],
    unsent: 0,
    lostForGood: 0,
    slowestMs: 0,
  };
  #isOver = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#callers = Array.from({ length: options.callers }, () => this.#call());
  }

  get answered(): number {
    return this.#result.answered;
  }

  /** Lets requests in flight end; then what there was. */
  async stop(): Promise<LoadResult> {
    this.#isOver = true;
    await Promise.all(this.#callers);
    this.#agent.destroy();
    return this.#result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #call(): Promise<void> {
    while (!this.#isOver) {
      const startedAt = Date.now();
      try {
        await this.#send();
        this.#result.answered += 1;
      } catch (err) {
        this.#lost(err, startedAt);
        if (!(await this.#sendAgain())) this.#result.lostForGood += 1;
      }
      this.#result.slowestMs = Math.max(this.#result.slowestMs, Date.now() - startedAt);
      await sleep(this.#options.pauseMs);
    }
  }

  #lost(err: unknown, startedAt: number): void {
    const { lost } = this.#result;
    const at = new Date(startedAt).toISOString();
    lost.push(`${at}, after ${Date.now() - startedAt} ms: ${String(err)}`);
    const isUnsent = err instanceof Error && 'code' in err && err.code === 'ECONNREFUSED';
    if (isUnsent) this.#result.unsent += 1;
  }

  /** True when it was answered. */
  async #sendAgain(): Promise<boolean> {
    for (const pauseMs of retries) {
      await sleep(pauseMs);
      const isAnswered = await this.#send().then(
        () => true,
        () => false, // counted once
      );
      if (isAnswered) return true;
    }
    return false;
  }

  #send(): Promise<void> {
    const { url, body } = this.#options;
    const text = JSON.stringify(body);
    const headers = { 'content-type': 'application/json', 'content-length': text.length };
    return new Promise((resolve, reject) => {
      const sent = request(url, {
        method: 'POST',
        agent: this.#agent,
        headers,
        timeout: timeoutMs,
      });
      sent.once('timeout', () => sent.destroy(new Error('no answer in time')));
      sent.once('error', reject);
      sent.once('response', (res) => {
        let answer = '';
        res.setEncoding('utf8').on('data', (chunk: string) => {
          answer += chunk;
        });
        res.once('error', reject);
        res.once('end', () => {
          if (res.statusCode === 200) resolve();
          else reject(new Error(`status ${res.statusCode}: ${answer}`));
        });
      });
      sent.end(text);
    });
  }
}
