// What an answer costs by its encoding, and what the front costs by request: `node --import tsx bench/http.ts`.
// 64 rows of 2,048 tokens of a model too small to matter; the front is a process of its own, whose processor time is read
// from /proc before and after. Ratios are to JSON of the same request.
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { Agent, request } from 'undici';
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

async function ask({ body, headers }: { body: Buffer; headers: Record<string, string> }) {
  const res = await request(target, { method: 'POST', dispatcher: agent, headers, body });
  const bytes = Buffer.from(await res.body.arrayBuffer());
  if (res.statusCode !== 200)
    throw new Error(`${res.statusCode} ${bytes.toString().slice(0, 300)}`);
  return { bytes, headers: res.headers };
}

/** Processor seconds of the front so far, all its threads; its runners are other processes. */
function frontSeconds(): number {
  const [, rest = ''] =
    /\) (.*)$/s.exec(readFileSync(`/proc/${server.child.pid}/stat`, 'utf8')) ?? [];
  const fields = rest.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

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
      const before = frontSeconds();
      const { bytes, headers } = await ask(sent);
      front.push(frontSeconds() - before);
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
const before = frontSeconds();
const startedMs = performance.now();
const tookMs = await Promise.all(
  Array.from({ length: smallRequests }, async (_, i) => {
    const dueMs = startedMs + (1000 * i) / perSecond;
    await new Promise((resolve) => setTimeout(resolve, dueMs - performance.now()));
    const sentMs = performance.now();
    await ask(small);
    return performance.now() - sentMs;
  }),
);
const seconds = (performance.now() - startedMs) / 1000;
const sorted = tookMs.sort((a, b) => a - b);
const cpuMs = (1000 * (frontSeconds() - before)) / smallRequests;
console.log(
  `\n${smallRequests} requests of 8 tokens, ${perSecond} a second offered, ${(smallRequests / seconds).toFixed(0)} answered: ` +
    `front ${cpuMs.toFixed(2)} ms of processor a request, p50 ${sorted[smallRequests >> 1]?.toFixed(1)} ms, ` +
    `p99 ${sorted[Math.floor(0.99 * smallRequests)]?.toFixed(1)} ms`,
);
await agent.close();
