// Callers, models, cancels and kills at random against a real server over HTTP; every answer is held against the truth.
// What chance does is decided by a seed; what the clock does is not.
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { type GoldenRow, goldenRoot, goldenRows } from './engine-kit.ts';
import { checkpoint, end, isAlive, runnersOf, startServerProcess } from './server-process.ts';

/** Of five architectures; more than the cache holds, so that they take each other's place all the time. */
const models = ['llama', 'gpt2', 'gemma2', 'phi3', 'qwen3-moe'];
const maxModels = 2;
const callers = 20;
const cancelShare = 0.1;
/** Between two kills, on average. */
const killMs = 6000;
/** What is asked before the end is answered within this time after it. */
const graceMs = 120_000;
/** As in test/parity/golden.test.ts. */
const largestDifference = 5e-5;

export interface SoakReport {
  answers: number;
  /** Given up by their callers. */
  cancelled: number;
  /** Answers that asked to come again, by code; each of these requests was answered later, or is lost. */
  retries: Record<string, number>;
  kills: number;
  /** Wrong values, unexpected statuses, requests without an answer: what must not be. */
  wrong: string[];
  lost: string[];
  /** Processes that were there after the server had ended, and its exit code. */
  left: number;
  exitCode: number | null;
  /** Milliseconds from a request to its answer, retries included. */
  p50: number;
  p95: number;
}

export async function soak(options: { seconds: number; seed: number }): Promise<SoakReport> {
  await using server = await startServerProcess(
    models.map((name) => checkpoint(`soak/${name}`, path.join(goldenRoot, name))),
    { REFMODEL_MAX_MODELS: String(maxModels), REFMODEL_THREADS: '1' },
  );
  const run = new Soak(server.url, random(options.seed));
  const pid = server.child.pid ?? 0;
  const endMs = performance.now() + options.seconds * 1000;
  const killing = killNowAndThen(pid, run, endMs);
  await Promise.all(Array.from({ length: callers }, () => run.call(endMs)));
  const seen = await killing;
  const exitCode = await end(server.child, 'SIGTERM');
  const left = [...seen].filter(isAlive).length;
  return { ...run.report(), exitCode, left };
}

/** Kills a runner, whatever it does; gives all that it has ever seen. */
async function killNowAndThen(server: number, run: Soak, endMs: number): Promise<Set<number>> {
  const seen = new Set<number>();
  while (performance.now() < endMs) {
    await sleep(2 * killMs * run.random());
    const runners = runnersOf(server);
    for (const pid of runners) seen.add(pid);
    const victim = runners[Math.floor(run.random() * runners.length)];
    if (victim !== undefined && kill(victim)) run.kills += 1;
  }
  return seen;
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false; // it has just ended
  }
}

interface Question {
  readonly model: string;
  readonly rows: readonly GoldenRow[];
  readonly signal: AbortSignal;
}

class Soak {
  readonly random: () => number;
  kills = 0;
  readonly #url: string;
  readonly #truth = new Map(models.map((name) => [name, goldenRows(path.join(goldenRoot, name))]));
  readonly #tally = { cancelled: 0, retries: {} as Record<string, number> };
  readonly #wrong: string[] = [];
  readonly #lost: string[] = [];
  readonly #tookMs: number[] = [];

  constructor(url: string, random: () => number) {
    this.#url = url;
    this.random = random;
  }

  /** One caller: asks, waits, asks again. */
  async call(endMs: number): Promise<void> {
    while (performance.now() < endMs) {
      const model = this.#pick(models);
      const truth = this.#truth.get(model) ?? [];
      const rows = Array.from({ length: 1 + Math.floor(4 * this.random()) }, () =>
        this.#pick(truth),
      );
      const client = new AbortController();
      const isCancelled = this.random() < cancelShare;
      const timer = isCancelled && setTimeout(() => client.abort(), 1500 * this.random());
      const startedMs = performance.now();
      try {
        await this.#ask({ model, rows, signal: client.signal }, endMs + graceMs);
        this.#tookMs.push(performance.now() - startedMs);
      } catch (err) {
        if (client.signal.aborted) this.#tally.cancelled += 1;
        else this.#lost.push(`${model}: ${inspect(err)}`);
      }
      if (timer) clearTimeout(timer);
    }
  }

  report(): Omit<SoakReport, 'exitCode' | 'left'> {
    const sorted = this.#tookMs.toSorted((a, b) => a - b);
    const at = (share: number) =>
      Math.round(sorted[Math.floor(share * sorted.length)] ?? Number.NaN);
    return {
      answers: sorted.length,
      ...this.#tally,
      kills: this.kills,
      wrong: this.#wrong,
      lost: this.#lost,
      p50: at(0.5),
      p95: at(0.95),
    };
  }

  /** Comes again as long as it is told to, as trainers do. */
  async #ask(question: Question, deadlineMs: number): Promise<void> {
    for (;;) {
      const res = await this.#post(question);
      const body = JSON.parse(await res.text());
      if (res.status === 200) return this.#check(question, body.logprobs);
      const code = String(body.error?.code);
      if (res.status !== 503) throw new Error(`${res.status} ${code} ${body.error?.message}`);
      this.#tally.retries[code] = (this.#tally.retries[code] ?? 0) + 1;
      if (performance.now() > deadlineMs) throw new Error(`still ${code} at the end`);
      await sleep(1000 * Number(res.headers.get('retry-after') ?? 1), undefined, {
        signal: question.signal,
      });
    }
  }

  #post({ model, rows, signal }: Question): Promise<Response> {
    return fetch(`${this.#url}/v1/logprobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: `soak/${model}`, input_ids: rows.map((row) => row.input_ids) }),
      signal,
    });
  }

  #check({ model, rows }: Question, found: (number | null)[][]): void {
    for (const [r, row] of rows.entries()) {
      const values = found[r] ?? [];
      const differences = (row.log_probs ?? [Number.NaN]).map((truth, i) =>
        Math.abs(truth - (values[i + 1] ?? Number.NaN)),
      );
      const isRight =
        values.length === row.input_ids.length && differences.every((x) => x <= largestDifference);
      if (!isRight) this.#wrong.push(`${model}, row ${r}: off by ${Math.max(...differences)}`);
    }
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }
}

/** Numbers from 0 to before 1, the same ones for the same seed. Constants: Numerical Recipes, 7.1. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
