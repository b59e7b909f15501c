// A service that scores: asks it in batches, waits as it says while it wakes or has too much to do.
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { AppError } from '../../common/errors.ts';
import type { Item, Scores } from './items.ts';

const answer = z.object({
  logprobs: z.array(z.array(z.number().nullable())),
  sums: z.array(z.number()),
});

export interface ServiceOptions {
  /** Without a path, or with that of a model. */
  url: string;
  model?: string;
  temperature: number;
  /** How often a batch is sent at most. */
  maxTries: number;
}

/** The scores of each item. Throws INVALID_REQUEST with what the service says, or UPSTREAM_FAILED. */
export async function scoreItems(
  items: readonly Item[],
  options: ServiceOptions,
  signal: AbortSignal,
): Promise<Scores[][]> {
  const rows = items.flatMap((item) => item.rows);
  const body = JSON.stringify({
    ...(options.model !== undefined && { model: options.model }),
    input_ids: rows.map(({ ids }) => ids),
    prompt_lengths: rows.map(({ promptLength }) => promptLength),
    temperature: options.temperature,
    outputs: ['logprobs', 'sums'],
  });
  const { logprobs, sums } = await ask(body, options, signal);
  let at = 0;
  return items.map((item) =>
    item.rows.map(() => {
      const r = at++;
      return { logprobs: logprobs[r] ?? [], sum: sums[r] ?? Number.NaN };
    }),
  );
}

async function ask(body: string, { url, maxTries }: ServiceOptions, signal: AbortSignal) {
  const target = `${url.replace(/\/$/, '')}/v1/logprobs`;
  let problem: unknown;
  for (let tries = 0; tries < maxTries; tries++) {
    const sent = await send(target, body, signal);
    if ('value' in sent) return answer.parse(sent.value);
    ({ problem } = sent);
    await delay(sent.waitSeconds * 1000, undefined, { signal });
  }
  throw new AppError('UPSTREAM_FAILED', `asking ${target}: ${String(problem)}`);
}

type Sent = { value: unknown } | { problem: string; waitSeconds: number };

/** Throws INVALID_REQUEST for what another try would not change. */
async function send(target: string, body: string, signal: AbortSignal): Promise<Sent> {
  const headers = { 'content-type': 'application/json' };
  let res: Response;
  try {
    res = await fetch(target, { method: 'POST', headers, body, signal });
    if (res.ok) return { value: await res.json() };
  } catch (err) {
    signal.throwIfAborted();
    return { problem: err instanceof Error ? err.message : String(err), waitSeconds: 1 };
  }
  const problem = `${res.status} ${(await res.text()).slice(0, 1000)}`;
  if (res.status < 500) throw new AppError('INVALID_REQUEST', `asking ${target}: ${problem}`);
  return { problem, waitSeconds: Number(res.headers.get('retry-after') ?? 1) || 1 };
}
