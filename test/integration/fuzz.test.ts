// Whatever comes in: an answer below 500, soon, and a server that goes on. test/e2e/fuzz.test.ts sends more, to a real one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { openApiDocument } from '../../server/api/openapi/document.ts';
import { BigramModels } from '../support/bigram-model.ts';
import { int32Tensor, oipBody, safetensorsBody } from '../support/binary-bodies.ts';
import { startServerKit } from '../support/server-kit.ts';

const { paths } = openApiDocument() as { paths: Record<string, { post?: object }> };
const posts = Object.keys(paths)
  .filter((path) => paths[path]?.post)
  .map((path) => path.replace('{model}', 'tiny').replace('{version}', '1'));
const folder = 'examples/models/tiny-python-llama';
const load = () => new BigramModels({ folder }).load;

const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.integer(),
  fc.constantFrom(-1, 0.5, 1e300, 2 ** 31, null, [], {}, [[]], [[1, 2]], [1, 2], '', 'x', true),
);
const ids = fc.array(fc.array(fc.integer({ min: -2, max: 70 }), { maxLength: 20 }), {
  maxLength: 4,
});
const field = fc.oneof(ids, odd, fc.array(odd, { maxLength: 3 }));
const names = [
  'model',
  'revision',
  'tokenizer_digest',
  'input_ids',
  'attention_mask',
  'cu_seqlens',
  'groups',
  'prompt_lengths',
  'score_start',
  'score_mask',
  'temperature',
  'top_k',
  'candidate_ids',
  'outputs',
  'align',
  'fill',
  'policy_logprobs',
  'prompt',
  'prompt_logprobs',
  'logprobs',
  'echo',
  'sampling_params',
  'token_ids',
  'return_logprob',
  'top_logprobs_num',
  'token_ids_logprob',
];
/** Ids that are good, and a few fields that may be. */
const body = fc
  .tuple(fc.boolean(), ids, fc.dictionary(fc.constantFrom(...names), field, { maxKeys: 3 }))
  .map(([isGood, rows, fields]) =>
    isGood ? { input_ids: rows, prompt: rows, ...fields } : fields,
  );

const tensors = [int32Tensor('input_ids', [2, 3], [1, 2, 3, 4, 5, 6])];
const oip = oipBody(tensors, { top_k: 2 });
const binaries = [
  {
    bytes: safetensorsBody(tensors, { top_k: '2' }),
    headers: { 'content-type': 'application/x-safetensors' } as Record<string, string>,
  },
  { bytes: oip.body, headers: oip.headers },
];
const broken = fc.record({
  which: fc.constantFrom(...binaries),
  changes: fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }),
  cut: fc.nat(40),
});

async function assertAnswered(url: string, init: RequestInit): Promise<void> {
  const res = await fetch(url, { method: 'POST', signal: AbortSignal.timeout(10_000), ...init });
  const text = await res.text();
  assert.ok(res.status < 500, `${res.status} ${text.slice(0, 300)}`);
}

describe('a server that is sent anything', () => {
  it('answers every route below 500, whatever JSON comes', async () => {
    await using kit = await startServerKit({ load: load() });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...posts), body, async (path, value) => {
        await assertAnswered(kit.url + path, {
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(value),
        });
      }),
      { numRuns: 600 },
    );
  });

  it('answers broken bodies in a content coding below 500, on every route', async () => {
    await using kit = await startServerKit({ load: load() });
    const good = Buffer.from(JSON.stringify({ input_ids: [[1, 2, 3]], prompt: [[1, 2, 3]] }));
    const coded = fc.constantFrom(
      { coding: 'gzip', bytes: gzipSync(good) },
      { coding: 'deflate', bytes: deflateSync(good) },
      { coding: 'br', bytes: brotliCompressSync(good) },
      { coding: 'zstd', bytes: good },
      { coding: 'gzip', bytes: gzipSync(Buffer.alloc(2 ** 22)) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...posts),
        coded,
        broken,
        async (path, { coding, bytes: whole }, { changes, cut }) => {
          const bytes = Buffer.from(whole);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          await assertAnswered(kit.url + path, {
            headers: { 'content-type': 'application/json', 'content-encoding': coding },
            body: bytes.subarray(0, bytes.length - cut),
          });
        },
      ),
      { numRuns: 400 },
    );
  });

  it('answers broken binary bodies below 500', async () => {
    await using kit = await startServerKit({ load: load() });
    const native = ['/v1/logprobs', '/v1/rewards', '/compute_log_probs'];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...native),
        broken,
        async (path, { which, changes, cut }) => {
          const bytes = Buffer.from(which.bytes);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          await assertAnswered(kit.url + path, {
            headers: which.headers,
            body: bytes.subarray(0, bytes.length - cut),
          });
        },
      ),
      { numRuns: 400 },
    );
  });
});
