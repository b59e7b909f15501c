// A server process that is sent anything: schemathesis by its own OpenAPI document, and bodies that are broken on purpose. No
// answer of 500, no crash, each refused within a second of computing, and memory that stays. Needs CLIENTS_PYTHON, which
// test/clients/install.sh prints.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { int32Tensor, oipBody, safetensorsBody } from '../support/binary-bodies.ts';
import { checkpoint, isAlive, startServerProcess } from '../support/server-process.ts';

const python = process.env['CLIENTS_PYTHON'];
const skip = python === undefined && 'no CLIENTS_PYTHON, see test/clients/install.sh';
const models = ['tiny-python-llama', 'tiny-python-reward'];
const start = (folder: string) =>
  startServerProcess([checkpoint('rl/tiny', `examples/models/${folder}`)]);

/** Seconds for all models together. */
const fuzzSeconds = 120;
/** Bytes that the process may take more after thousands of broken bodies. */
const growth = 256 * 2 ** 20;
/** Milliseconds of computing for the refusal of a broken body, whoever else uses the machine. */
const refusalMs = 1000;

interface Hostile {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const json = { 'content-type': 'application/json' };
const safetensors = { 'content-type': 'application/x-safetensors' };
const tensors = [int32Tensor('input_ids', [2, 3], [1, 2, 3, 4, 5, 6])];
const oip = oipBody(tensors, { top_k: 2 });
const natives = ['/v1/logprobs', '/v1/rewards', '/compute_log_probs', '/compute_rewards'];
const texts = ['/v1/completions', '/generate', '/pooling', '/tokenize', '/get_sequence_logprobs'];

const formats = [
  { headers: safetensors, body: safetensorsBody(tensors, { top_k: '2' }), paths: natives },
  { headers: oip.headers, body: oip.body, paths: [...natives, '/v2/models/tiny/infer'] },
  { headers: json, body: Buffer.from('{"input_ids":[[1,2],[3]]}'), paths: [...natives, ...texts] },
];

/** Bytes changed, and the end cut off. */
const broken: fc.Arbitrary<Hostile> = fc
  .tuple(
    fc.constantFrom(...formats),
    fc.nat(),
    fc.array(fc.tuple(fc.nat(500), fc.nat(255)), { minLength: 1, maxLength: 8 }),
    fc.nat(60),
  )
  .map(([{ headers, body, paths }, which, changes, cut]) => {
    const bytes = Buffer.from(body);
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    const path = paths[which % paths.length] ?? '';
    return { path, headers, body: bytes.subarray(0, Math.max(1, bytes.length - cut)) };
  });

const withHeader = (header: object): Buffer => {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text]);
};
const claiming = (shape: number[]) =>
  withHeader({ input_ids: { dtype: 'I32', shape, data_offsets: [0, 0] } });
const infer = (shape: number[]) =>
  Buffer.from(
    JSON.stringify({ inputs: [{ name: 'input_ids', datatype: 'INT64', shape, data: [] }] }),
  );

/** What claims to be much larger than it is, or is as large as may be. */
const outsized: Hostile[] = [
  ...[[2 ** 40, 0], [2 ** 20, 2 ** 20, 0], [2 ** 52], [0, 2 ** 40], [2 ** 20, 0]].flatMap(
    (shape) => [
      { path: '/v1/logprobs', headers: safetensors, body: claiming(shape) },
      { path: '/v2/models/tiny/infer', headers: json, body: infer(shape) },
    ],
  ),
  { path: '/v1/logprobs', headers: safetensors, body: Buffer.alloc(1 << 20, 0xff) },
  { path: '/v1/logprobs', headers: json, body: Buffer.alloc(4 << 20, '[') },
  { path: '/v1/logprobs', headers: json, body: Buffer.from(`${'{"a":'.repeat(50_000)}1`) },
  { path: '/generate', headers: json, body: Buffer.alloc(4 << 20, '"') },
  {
    path: '/v1/completions',
    headers: json,
    body: Buffer.from(`{"prompt":[${'1,'.repeat(1 << 20)}`),
  },
  {
    path: '/v1/logprobs',
    headers: { ...json, 'content-encoding': 'gzip' },
    body: gzipSync(Buffer.alloc(256 << 20)),
  },
];

async function assertRefused({ url, child }: Server, hostile: Hostile): Promise<void> {
  const { path, headers, body } = hostile;
  const pid = child.pid ?? 0;
  const before = computedMs(pid);
  const init = { method: 'POST', headers, body: new Uint8Array(body) };
  const res = await fetch(url + path, { ...init, signal: AbortSignal.timeout(60_000) });
  const text = await res.text();
  const ms = computedMs(pid) - before;
  const shown = `${path}, ${body.toString('latin1', 0, 80)}: ${res.status} ${text.slice(0, 300)}`;
  assert.ok(res.status < 500, shown);
  assert.ok(res.status < 400 || ms < refusalMs, `${shown}, after ${ms} ms`);
}

type Server = Awaited<ReturnType<typeof start>>;

/** Of user and system, in hundredths of a second (proc(5)). */
function computedMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

const residentBytes = (pid: number): number =>
  1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

function schemathesis(url: string, seconds: number): Promise<{ code: unknown; output: string }> {
  const fuzzer = join(dirname(python ?? ''), 'schemathesis');
  const flags = {
    '--url': url,
    '--phases': 'coverage,fuzzing',
    '--checks': 'not_a_server_error,content_type_conformance',
    '--max-time': String(seconds),
    '--request-timeout': '300',
    '--suppress-health-check': 'all',
    '--generation-database': 'none',
    '--seed': '1',
    '--warnings': 'off',
  };
  const args = ['run', `${url}/openapi.json`, '--no-color', ...Object.entries(flags).flat()];
  return new Promise((resolve) => {
    execFile(fuzzer, args, { cwd: tmpdir(), maxBuffer: 1 << 26 }, (err, stdout, stderr) =>
      resolve({ code: err?.code ?? 0, output: stdout + stderr }),
    );
  });
}

describe('a server process that is sent anything', { skip }, () => {
  for (const folder of models) {
    it(`${folder} passes schemathesis with its own OpenAPI document`, async () => {
      await using server = await start(folder);
      await fetch(`${server.url}/cache/tiny`, { method: 'PUT' }); // no time of the run for the load

      const { code, output } = await schemathesis(server.url, fuzzSeconds / models.length);

      assert.equal(code, 0, output.slice(-4000));
      assert.ok(isAlive(server.child.pid ?? 0), 'it still runs');
    });
  }

  it('refuses broken bodies at once, and takes no more memory for them', async () => {
    await using server = await start('tiny-python-llama');
    const pid = server.child.pid ?? 0;
    const send = async (list: readonly Hostile[]) => {
      for (const hostile of list) await assertRefused(server, hostile);
    };
    await send([...fc.sample(broken, { numRuns: 500, seed: 1 }), ...outsized]);
    const before = residentBytes(pid);

    await send(fc.sample(broken, { numRuns: 3000, seed: 2 }));
    await send([...outsized, ...outsized]);

    assert.ok(isAlive(pid), 'it still runs');
    const grown = residentBytes(pid) - before;
    assert.ok(grown < growth, `it took ${Math.round(grown / 2 ** 20)} MiB more`);
  });
});
