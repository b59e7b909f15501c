// How fast the front answers /healthz while three models load, convert and score, and while large requests come in:
// `node --import tsx bench/front.ts`. Every processor is busy all the time; the runners have the lower priority.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tinyLlama, writeCheckpoint } from '../test/support/llama-checkpoint.ts';
import { checkpoint, startServerProcess } from '../test/support/server-process.ts';

const scoringSeconds = 15;
const wantedMs = 50;
/** About 120 million parameters. */
const config = {
  vocab_size: 32_000,
  hidden_size: 768,
  intermediate_size: 2048,
  num_hidden_layers: 10,
  num_attention_heads: 12,
  num_key_value_heads: 12,
  max_position_embeddings: 2048,
};

const folder = mkdtempSync(join(tmpdir(), 'refmodel-bench-'));
console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads`);
writeCheckpoint(folder, tinyLlama(config));
const busy = (['None', 'Int8', 'None'] as const).map((quantization, i) =>
  checkpoint(`bench/${i}`, folder, { quantization }),
);
const small = checkpoint('bench/small', 'test/golden/llama', { maxSequenceTokens: 2048 });

{
  await using server = await startServerProcess([...busy, small], {
    REFMODEL_MAX_MODELS: '4',
    REFMODEL_MEMORY_BYTES: String(2 ** 33),
  });
  const ask = (method: string, path: string, body?: unknown) =>
    send(server.url + path, method, body);
  const score = (model: string, rows: number, tokens: number) =>
    ask('POST', '/v1/logprobs', { model, input_ids: rowsOf(rows, tokens) });

  await during('nothing', () => sleep(2000));
  await during('loads of three models', () =>
    Promise.all(busy.map(({ name }) => ask('PUT', `/cache/${name}`))),
  );
  await during('scoring on three models', async () => {
    const endMs = performance.now() + scoringSeconds * 1000;
    await Promise.all(
      busy.map(async ({ name }) => {
        while (performance.now() < endMs) await score(name, 4, 256);
      }),
    );
  });
  await ask('PUT', `/cache/${small.name}`);
  await during('64 rows of 2,000 tokens, one after another', async () => {
    for (let i = 0; i < 5; i++) await score(small.name, 64, 2000);
  });
  await during('64 rows of 2,000 tokens, four at a time', () =>
    Promise.all(Array.from({ length: 4 }, () => score(small.name, 64, 2000))),
  );

  /** Asks every 20 ms, whether the last one was answered or not. */
  async function during(what: string, work: () => Promise<unknown>): Promise<void> {
    const tookMs: Promise<number>[] = [];
    const timer = setInterval(() => void tookMs.push(ping()), 20);
    const startedMs = performance.now();
    await work();
    const seconds = (performance.now() - startedMs) / 1000;
    clearInterval(timer);
    const sorted = (await Promise.all(tookMs)).sort((a, b) => a - b);
    const at = (share: number) =>
      (sorted[Math.floor(share * sorted.length)] ?? Number.NaN).toFixed(1);
    const late = sorted.filter((ms) => ms > wantedMs).length;
    const figures = `p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1 - Number.EPSILON)} ms`;
    console.log(
      `${what}, ${seconds.toFixed(1)} s: ${figures}; ${late} of ${sorted.length} over ${wantedMs} ms`,
    );
  }

  async function ping(): Promise<number> {
    const startedMs = performance.now();
    await ask('GET', '/healthz');
    return performance.now() - startedMs;
  }
}
rmSync(folder, { recursive: true });

async function send(url: string, method: string, body?: unknown): Promise<void> {
  const res = await fetch(url, {
    method,
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  });
  const bytes = await res.arrayBuffer(); // not parsed: that would hold up this process, which measures
  if (res.status !== 200) throw new Error(`${url}: ${res.status} ${Buffer.from(bytes).toString()}`);
}

function rowsOf(rows: number, tokens: number): number[][] {
  const row = Array.from({ length: tokens }, (_, i) => (i * 7919 + 1) % 250);
  return Array.from({ length: rows }, () => row);
}
