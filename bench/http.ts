// What an answer costs by its encoding, and what the front costs by request beside a bare server of Node.js:
// `node --import tsx bench/http.ts`.
// 64 rows of 2,048 tokens of a model too small to matter; the front is a process of its own, whose processor time is read
// from /proc before and after. Ratios are to JSON of the same request.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, cpus } from 'node:os';
import { Agent, request } from 'undici';
import { takenBy } from '../server/metrics/runners.ts';
import {
  type BodyTensor,
  oipBody,
  safetensorsBody,
  viewTensors,
} from '../test/support/binary-bodies.ts';
import { checkpoint, startServerProcess } from '../test/support/server-process.ts';

const [rows, length, rounds] = [64, 2048, 3];
const smallRequests = 3000;
const perSecond = 1000;
const ids = Int32Array.from({ length: rows * length }, (_, i) => (i * 7919 + 1) % 250);

console.log(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} threads, Node.js ${process.version}`,
);
const model = checkpoint('bench/small', 'test/golden/llama', {
  maxSequenceTokens: 2048,
  maxBatchTokens: 16_384,
});
await using server = await startServerProcess([model], { REFMODEL_MEMORY_BYTES: String(2 ** 32) });
const agent = new Agent({ connections: 64 });
const target = `${server.url}/v1/logprobs`;

interface Encoding {
  readonly name: string;
  readonly body: (k: number) => { body: Buffer; headers: Record<string, string> };
  /** As a client reads it. */
  readonly parse: (bytes: Buffer, headers: Record<string, unknown>) => unknown;
}

const tensors: BodyTensor[] = [
  { name: 'input_ids', type: 'I32', shape: [rows, length], values: ids },
];
const ragged = Array.from({ length: rows }, (_, r) => [
  ...ids.subarray(r * length, (r + 1) * length),
]);
const encodings: Encoding[] = [
  {
    name: 'JSON',
    body: (k) => ({
      body: Buffer.from(JSON.stringify({ input_ids: ragged, top_k: k })),
      headers: { 'content-type': 'application/json' },
    }),
    parse: (bytes) => JSON.parse(bytes.toString()),
  },
  {
    name: 'safetensors',
    body: (k) => ({
      body: safetensorsBody(tensors, { top_k: String(k) }),
      headers: { 'content-type': 'application/x-safetensors' },
    }),
    parse: (bytes) => viewTensors(bytes, Number(bytes.readBigUInt64LE()), 8),
  },
  {
    name: 'inference binary',
    body: (k) => oipBody(tensors, { top_k: k }),
    parse: (bytes, headers) =>
      viewTensors(bytes, Number(headers['inference-header-content-length']), 0),
  },
];

async function ask(
  { body, headers }: { body: Buffer; headers: Record<string, string> },
  url = target,
) {
  const res = await request(url, { method: 'POST', dispatcher: agent, headers, body });
  const bytes = Buffer.from(await res.body.arrayBuffer());
  if (res.statusCode !== 200)
    throw new Error(`${res.statusCode} ${bytes.toString().slice(0, 300)}`);
  return { bytes, headers: res.headers };
}

/** Processor seconds of the process so far, all its threads; the runners of a front are other processes. */
const secondsOf = async (pid: number | undefined) => (await takenBy(pid ?? 0, 'seconds')) ?? NaN;

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

console.log(
  '\n| k | encoding | request, B/token | answer, B/token | front, CPU s | client parse, ms | answer ÷ JSON | front ÷ JSON | parse ÷ JSON |',
);
console.log('|---|---|---|---|---|---|---|---|---|');
await ask(encodings[1]!.body(0)); // loads the model, starts the threads
for (const k of [0, 20]) {
  let json: [number, number, number] | undefined;
  for (const { name, body, parse } of encodings) {
    const sent = body(k);
    await ask(sent);
    const [front, parsing]: [number[], number[]] = [[], []];
    let answered = 0;
    for (let round = 0; round < rounds; round++) {
      const before = await secondsOf(server.child.pid);
      const { bytes, headers } = await ask(sent);
      front.push((await secondsOf(server.child.pid)) - before);
      const startedMs = performance.now();
      parse(bytes, headers);
      parsing.push(performance.now() - startedMs);
      answered = bytes.length;
    }
    const figures: [number, number, number] = [
      answered / ids.length,
      median(front),
      median(parsing),
    ];
    json ??= figures;
    const ratios = figures.map((figure, i) => (figure / (json?.[i] ?? 1)).toFixed(4));
    const [perToken, seconds, ms] = figures;
    const cells = [
      k,
      name,
      (sent.body.length / ids.length).toFixed(1),
      perToken.toFixed(1),
      seconds.toFixed(2),
      ms.toFixed(1),
      ...ratios,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

const small = {
  body: Buffer.from('{"input_ids":[[1,2,3,4,5,6,7,8]]}'),
  headers: { 'content-type': 'application/json' },
};
interface Small {
  cpuMs: number;
  answered: number;
  p50: number;
  p99: number;
}

/** Small requests at an even pace, whether those before were answered or not. */
async function smallRequestsTo(url: string, pid: number | undefined): Promise<Small> {
  const before = await secondsOf(pid);
  const startedMs = performance.now();
  const tookMs = await Promise.all(
    Array.from({ length: smallRequests }, async (_, i) => {
      const dueMs = startedMs + (1000 * i) / perSecond;
      await new Promise((resolve) => setTimeout(resolve, dueMs - performance.now()));
      const sentMs = performance.now();
      await ask(small, url);
      return performance.now() - sentMs;
    }),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const sorted = tookMs.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * smallRequests)] ?? Number.NaN;
  const cpuMs = (1000 * ((await secondsOf(pid)) - before)) / smallRequests;
  return { cpuMs, answered: smallRequests / seconds, p50: at(0.5), p99: at(0.99) };
}

const bare = fork(new URL('./bare-server.ts', import.meta.url));
const [barePort] = (await once(bare, 'message')) as [number];
const bareUrl = `http://127.0.0.1:${barePort}`;
await smallRequestsTo(bareUrl, bare.pid); // both are warm, then
await smallRequestsTo(target, server.child.pid);
const none = await smallRequestsTo(bareUrl, bare.pid);
const front = await smallRequestsTo(target, server.child.pid);
console.log(`\n${smallRequests} requests of 8 tokens, ${perSecond} a second offered:`);
for (const [name, { cpuMs, answered, p50, p99 }] of Object.entries({
  'bare server': none,
  front,
})) {
  console.log(
    `  ${name}: ${answered.toFixed(0)} a second answered, ${cpuMs.toFixed(2)} ms of processor a request, p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)} ms`,
  );
}
console.log(`  processor time: front ÷ bare server ${(front.cpuMs / none.cpuMs).toFixed(1)}`);
bare.disconnect();
await agent.close();
