import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { silentLogger } from '../../common/log.ts';
import tiny from '../../examples/models/tiny-python-llama/golden.json' with { type: 'json' };
import { createLoader } from '../../server/model/load.ts';
import llama from '../golden/llama/golden.json' with { type: 'json' };
import { type ServerKit, startServerKit } from '../support/server-kit.ts';
import { checkpoint } from '../support/server-process.ts';

const tinyFolder = 'examples/models/tiny-python-llama';
const llamaFolder = 'test/golden/llama';

/** Largest difference of a row of answers, its null first, from the truth. */
function worst(rows: (number | null)[][], truth: { log_probs: number[] }[]): number {
  const deltas = rows.flatMap(([first, ...values], r) => {
    assert.equal(first, null);
    assert.equal(values.length, truth[r]?.log_probs.length);
    return values.map((value, i) =>
      Math.abs((value ?? Number.NaN) - (truth[r]?.log_probs[i] ?? 0)),
    );
  });
  return Math.max(...deltas);
}

describe('the server over the real engine', () => {
  let folder: string;
  let kit: ServerKit;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'refmodel-engine-'));
    const broken = (name: string) => checkpoint(`rl/${name}`, join(folder, name));
    for (const name of ['no-weights', 'cut-short', 'other-architecture']) {
      await cp(llamaFolder, join(folder, name), { recursive: true });
    }
    await unlink(join(folder, 'no-weights/model.safetensors'));
    await truncate(join(folder, 'cut-short/model.safetensors'), 5000);
    await writeFile(
      join(folder, 'other-architecture/config.json'),
      JSON.stringify({ model_type: 'mamba', architectures: ['MambaForCausalLM'] }),
    );
    const load = createLoader({ cacheDir: join(folder, 'cache'), threads: 2, log: silentLogger });
    kit = await startServerKit({
      load,
      models: [
        checkpoint('rl/llama', llamaFolder),
        checkpoint('rl/tiny', tinyFolder),
        checkpoint('rl/tiny-int8', tinyFolder, { quantization: 'Int8' }),
        broken('no-weights'),
        broken('cut-short'),
        broken('other-architecture'),
      ],
    });
  });
  after(async () => {
    await kit[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  for (const [model, golden] of [
    ['rl/llama', llama],
    ['rl/tiny', tiny],
  ] as const) {
    it(`answers the golden values of ${model}`, async () => {
      const input_ids = golden.rows.map((row) => row.input_ids);

      const { status, body } = await kit.post('/v1/logprobs', { model, input_ids });

      assert.equal(status, 200);
      assert.ok(worst(body.logprobs, golden.rows) <= 5e-5);
    });
  }

  it('answers the same bits alone, in a batch, with padding, and as prompt_logprobs', async () => {
    const rows = tiny.rows.slice(0, 3).map((row) => row.input_ids.slice(0, 60));
    const [row = []] = rows;
    const ask = async (body: object) =>
      (await kit.post('/v1/logprobs', { model: 'rl/tiny', ...body })).body;

    const [alone] = (await ask({ input_ids: [row] })).logprobs;
    const [batched] = (await ask({ input_ids: rows })).logprobs;
    const [padded] = (
      await ask({ input_ids: [[...row, 0, 0]], attention_mask: [[...row.map(() => 1), 0, 0]] })
    ).logprobs;
    const completion = await kit.post('/v1/completions', {
      model: 'rl/tiny',
      prompt: row,
      prompt_logprobs: 0,
    });

    assert.deepEqual(batched, alone);
    assert.deepEqual(padded, [...alone, null, null]);
    const prompt: (Record<string, { logprob: number }> | null)[] =
      completion.body.choices[0].prompt_logprobs;
    assert.deepEqual(
      prompt.map((entry, i) => entry?.[row[i] ?? -1]?.logprob ?? null),
      alone,
    );
  });

  it('completes with the text of the tokenizer, ranks and one greedy token', async () => {
    const [row] = tiny.rows;
    assert.ok(row);

    const { body } = await kit.post('/v1/completions', {
      model: 'rl/tiny',
      prompt: row.input_ids,
      max_tokens: 1,
      prompt_logprobs: 3,
      logprobs: 1,
      echo: true,
    });

    const [choice] = body.choices;
    assert.ok(choice.text.startsWith(`<bos>${row.text}`));
    const { tokens, token_logprobs, top_logprobs } = choice.logprobs;
    assert.equal(tokens.length, row.input_ids.length + 1);
    assert.equal(token_logprobs.at(-1), Math.max(...Object.values<number>(top_logprobs.at(-1))));
    for (const entry of choice.prompt_logprobs.slice(1)) {
      const ranked = Object.values<{ rank: number; logprob: number }>(entry).sort(
        (a, b) => a.rank - b.rank,
      );
      assert.equal(ranked[0]?.rank, 1);
      assert.deepEqual(
        ranked,
        ranked.toSorted((a, b) => b.logprob - a.logprob),
      );
    }
  });

  it('stays near the truth with 8 bits, and says what it computed with', async () => {
    const input_ids = tiny.rows.map((row) => row.input_ids);

    const { body, headers } = await kit.post('/v1/logprobs', { model: 'rl/tiny-int8', input_ids });

    assert.equal(body.quantization, 'Int8');
    assert.equal(headers.get('x-refmodel-quantization'), 'Int8');
    assert.match(body.digest, /^\S+$/);
    assert.ok(worst(body.logprobs, tiny.rows) < 0.5);
  });

  it('has made room for the third model by ending the first', async () => {
    const { body } = await kit.get('/cache');

    assert.deepEqual(
      body.models.map((model: { name: string }) => model.name),
      ['rl/tiny-int8', 'rl/tiny'],
    );
  });

  for (const [name, code, says] of [
    ['no-weights', 'MODEL_FILES_MISSING', /safetensors/],
    ['cut-short', 'WEIGHTS_CORRUPT', /model\.safetensors/],
    ['other-architecture', 'UNSUPPORTED_ARCHITECTURE', /[Ll]lama/],
  ] as const) {
    it(`says ${code} of the folder ${name}, in the answer and in the state`, async () => {
      const { status, body } = await kit.post('/v1/logprobs', {
        model: `rl/${name}`,
        input_ids: [[1, 2]],
      });

      assert.equal(status, 500);
      assert.equal(body.error.code, code);
      assert.match(body.error.message, says);
      const state = (await kit.get('/state')).body;
      const failed = state.models.find((model: { name: string }) => model.name === `rl/${name}`);
      assert.deepEqual([failed.residency, failed.error.code], ['Failed', code]);
    });
  }
});
