// A service that scores: asks it in batches, waits as it says while it wakes or has too much to do.
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { z } from 'zod';
import { AppError } from '../../common/errors.ts';
import type { Item, Scores } from './items.ts';
import { identity } from './journal.ts';
import type { Scored, ScoringService, Task } from './run.ts';
import type { Tokenize } from './texts.ts';

const logprobsAnswer = identity.extend({
  logprobs: z.array(z.array(z.number().nullable())),
  sums: z.array(z.number()),
});
const rewardsAnswer = identity.extend({
  rewards: z.array(z.union([z.number(), z.array(z.number())])),
});
const tokenizeAnswer = z.object({ tokens: z.array(z.int()) });
const infoAnswer = z.object({
  eos_token: z
    .union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)])
    .nullish(),
});

export interface ServiceOptions {
  /** Without a path, or with that of a model. */
  url: string;
  model?: string;
  temperature: number;
  /** Undefined: what the model is for. */
  task?: Task;
  /** Whether texts get an end-of-sequence token. */
  addsEos: boolean;
  /** How often a request is sent at most. */
  maxTries: number;
}

/** As long as a pass takes: there is no limit to what one may ask. */
const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });

/** All throw INVALID_REQUEST with what the service says, or UPSTREAM_FAILED. */
export class Service implements ScoringService {
  readonly #options: ServiceOptions;
  readonly #root: string;
  #eos: Promise<string> | undefined;
  #task: Promise<Task> | undefined;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#root = options.url.replace(/\/$/, '');
  }

  /** The scores of each item. */
  async score(items: readonly Item[], signal: AbortSignal): Promise<Scored> {
    const rows = items.flatMap((item) => item.rows);
    const input_ids = rows.map(({ ids }) => ids);
    if ((await this.task(signal)) === 'reward') {
      const { rewards, ...model } = rewardsAnswer.parse(
        await this.#post('/v1/rewards', { input_ids }, signal),
      );
      return { scores: perItem(items, (r) => ({ reward: rewards[r] ?? Number.NaN })), model };
    }
    const body = {
      input_ids,
      prompt_lengths: rows.map(({ promptLength }) => promptLength),
      temperature: this.#options.temperature,
      outputs: ['logprobs', 'sums'],
    };
    const { logprobs, sums, ...model } = logprobsAnswer.parse(
      await this.#post('/v1/logprobs', body, signal),
    );
    const of = (r: number) => ({ logprobs: logprobs[r] ?? [], sum: sums[r] ?? Number.NaN });
    return { scores: perItem(items, of), model };
  }

  async tokenize(request: Tokenize, signal: AbortSignal): Promise<number[]> {
    return tokenizeAnswer.parse(await this.#post('/tokenize', request, signal)).tokens;
  }

  /** Of the model's tokenizer; empty where it has none, or none is wanted. */
  eos(signal: AbortSignal): Promise<string> {
    this.#eos ??= this.#options.addsEos ? this.#readEos(signal) : Promise.resolve('');
    return this.#eos;
  }

  /** What the model is for, where the options do not say. */
  task(signal: AbortSignal): Promise<Task> {
    this.#task ??= this.#options.task ? Promise.resolve(this.#options.task) : this.#probe(signal);
    return this.#task;
  }

  async #readEos(signal: AbortSignal): Promise<string> {
    const { model } = this.#options;
    const address = model === undefined ? this.#root : `${this.#root}/${model}`;
    const { body } = await this.#ask(`${address}/tokenizer_info`, undefined, signal);
    return infoAnswer.parse(body).eos_token ?? '';
  }

  /** A model says at once that it is for something else, and which one it is. */
  async #probe(signal: AbortSignal): Promise<Task> {
    const target = `${this.#root}/v1/rewards`;
    const answer = await this.#ask(target, this.#named({ input_ids: [[0]] }), signal, [
      'TASK_MISMATCH',
    ]);
    return answer.isOk ? 'reward' : 'logprobs';
  }

  async #post(path: string, fields: object, signal: AbortSignal): Promise<unknown> {
    return (await this.#ask(this.#root + path, this.#named(fields), signal)).body;
  }

  #named(fields: object): string {
    const { model } = this.#options;
    return JSON.stringify({ ...(model !== undefined && { model }), ...fields });
  }

  /** `expected`: codes of errors that are an answer too. */
  async #ask(
    target: string,
    body: string | undefined,
    signal: AbortSignal,
    expected: readonly string[] = [],
  ): Promise<{ isOk: boolean; body: unknown }> {
    let problem: unknown;
    for (let tries = 0; tries < this.#options.maxTries; tries++) {
      const sent = await send(target, body, signal);
      if ('value' in sent) return { isOk: true, body: sent.value };
      if (expected.includes(sent.code)) return { isOk: false, body: undefined };
      if (sent.waitSeconds === undefined) {
        throw new AppError('INVALID_REQUEST', `asking ${target}: ${sent.problem}`);
      }
      ({ problem } = sent);
      await delay(sent.waitSeconds * 1000, undefined, { signal });
    }
    throw new AppError('UPSTREAM_FAILED', `asking ${target}: ${String(problem)}`);
  }
}

/** Rows in the order of the items that they are of. */
function perItem(items: readonly Item[], of: (row: number) => Scores): Scores[][] {
  let at = 0;
  return items.map((item) => item.rows.map(() => of(at++)));
}

type Sent =
  | { value: unknown }
  /** `waitSeconds` is unset where another try would change nothing. */
  | { problem: string; code: string; waitSeconds: number | undefined };

const errorAnswer = z.object({ error: z.object({ code: z.string() }) });

async function send(target: string, body: string | undefined, signal: AbortSignal): Promise<Sent> {
  try {
    const {
      statusCode,
      headers,
      body: answer,
    } = await request(target, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body }),
      signal,
      dispatcher,
    });
    const text = await answer.text();
    if (statusCode < 300) return { value: JSON.parse(text) };
    const mayPass = statusCode >= 500 || statusCode === 429;
    return {
      problem: `${statusCode} ${text.slice(0, 1000)}`,
      code: codeOf(text),
      waitSeconds: mayPass ? Number(headers['retry-after'] ?? 1) || 1 : undefined,
    };
  } catch (err) {
    signal.throwIfAborted();
    return { problem: reasonOf(err), code: '', waitSeconds: 1 };
  }
}

function codeOf(text: string): string {
  try {
    return errorAnswer.parse(JSON.parse(text)).error.code;
  } catch {
    return ''; // of some other server
  }
}

const reasonOf = (err: unknown): string => (err instanceof Error ? err.message : String(err));
