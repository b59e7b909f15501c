// What the measurement sends, and what it makes of the times.
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { host } from './processes.ts';

/** A client with connections of its own, which are kept. */
export const newClient = (port: number): Pool =>
  new Pool(`http://${host}:${port}`, { connections: 1024, keepAliveTimeout: 60_000 });

export const bodyOf = (bytes: number): Buffer =>
  Buffer.from(`{"model":"rl/tiny","input_ids":"${'1'.repeat(bytes)}"}`);

export async function post(client: Pool, body: Buffer, signal?: AbortSignal): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const path = '/v1/logprobs';
  const answer = await client.request({ method: 'POST', path, headers, body, signal });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${text}`);
}

/** One second of requests at an even pace, whether those before were answered or not: the milliseconds of each. */
export async function second(client: Pool, body: Buffer, perSecond: number): Promise<number[]> {
  const took: Promise<number>[] = [];
  const startedAt = performance.now();
  while (took.length < perSecond) {
    const due = Math.min(perSecond, ((performance.now() - startedAt) / 1000) * perSecond);
    while (took.length < due) took.push(timed(client, body));
    await sleep(1);
  }
  return Promise.all(took);
}

async function timed(client: Pool, body: Buffer): Promise<number> {
  const startedAt = performance.now();
  await post(client, body);
  return performance.now() - startedAt;
}

export function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
export const ms = (values: readonly number[], share: number): string =>
  at(values, share).toFixed(2);
