// The OpenAI SDK and a plain fetch against `refmodel local`: the golden values, while the model sleeps and while it runs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { eventually } from '../support/gateway-kit.ts';
import { exampleManifest, Local } from '../support/local-command.ts';

const read = (folder: string) => readFileSync(`examples/models/${folder}/golden.json`, 'utf8');
const language = JSON.parse(read('tiny-python-llama')) as {
  rows: { input_ids: number[]; text: string; log_probs: number[] }[];
};
const judge = JSON.parse(read('tiny-python-reward')) as {
  rows: { input_ids: number[]; scores: number[] }[];
};
const rows = language.rows.slice(0, 3);
const prompt = rows.map((row) => row.input_ids);

const near = (got: readonly (number | null | undefined)[], want: readonly number[], by: number) => {
  assert.equal(got.length, want.length);
  const off = Math.max(...want.map((value, i) => Math.abs((got[i] ?? Number.NaN) - value)));
  assert.ok(off <= by, `off by ${off}`);
};

/** With what vLLM adds. */
interface Scored {
  choices: (OpenAI.CompletionChoice & {
    prompt_logprobs: (Record<string, { logprob: number; rank: number }> | null)[];
  })[];
}

describe('clients of refmodel local', {
  skip: process.platform !== 'linux' && 'reads /proc',
}, () => {
  let local: Local;
  let client: OpenAI;

  before(async () => {
    local = await Local.start(
      [
        exampleManifest('tiny', 'tiny-python-llama', '1s'),
        exampleManifest('reward', 'tiny-python-reward', '1s'),
      ].join('---'),
    );
    client = new OpenAI({ baseURL: `${local.url}/default/tiny/v1`, apiKey: 'none' });
  });
  after(async () => {
    await local.stop();
    local.remove();
  });

  /** Asks for the golden rows in both shapes. */
  async function askSdk() {
    const { data, response } = await client.completions
      .create({
        model: 'tiny',
        prompt,
        max_tokens: 1,
        echo: true,
        logprobs: 1,
        prompt_logprobs: 2,
      } as OpenAI.CompletionCreateParamsNonStreaming)
      .withResponse();
    for (const [r, choice] of (data as unknown as Scored).choices.entries()) {
      const want = rows[r]?.log_probs ?? [];
      near(choice.logprobs?.token_logprobs?.slice(1, -1) ?? [], want, 5e-5);
      const [first, ...entries] = choice.prompt_logprobs;
      const own = entries.map((entry, i) => entry?.[rows[r]?.input_ids[i + 1] ?? -1]?.logprob);
      assert.equal(first, null);
      near(own, want, 5e-5);
    }
    return response.headers;
  }

  it('hold the first request of the SDK, answer the second at once, both right', async () => {
    await eventually(() => local.servers().length === 0, 'nothing runs');

    const cold = await askSdk();
    const warm = await askSdk();

    assert.ok(Number(cold.get('x-refmodel-held-ms')) > 0);
    assert.equal(warm.get('x-refmodel-held-ms'), null);
  });

  it('list the model, and read texts with its tokenizer', async () => {
    const models = await client.models.list();
    const text = await client.completions.create({
      model: 'tiny',
      prompt: `<bos>${rows[0]?.text}`,
      max_tokens: 0,
      echo: true,
      logprobs: 0,
    });

    assert.deepEqual(
      models.data.map(({ id }) => id),
      ['default/tiny'],
    );
    near(text.choices[0]?.logprobs?.token_logprobs?.slice(1) ?? [], rows[0]?.log_probs ?? [], 5e-5);
  });

  it('get the scores of a reward model as embeddings', async () => {
    const rewards = new OpenAI({ baseURL: `${local.url}/default/reward/v1`, apiKey: 'none' });

    const { data } = await rewards.embeddings.create({
      model: 'reward',
      input: judge.rows.map(({ input_ids }) => input_ids),
    });

    near(
      data.map(({ embedding }) => embedding[0]),
      judge.rows.map(({ scores }) => scores[0] ?? 0),
      5e-4,
    );
  });

  it('learn by their own error classes what is wrong', async () => {
    const create = (fields: object) =>
      client.completions.create({ model: 'tiny', prompt: [1], ...fields } as never);

    await assert.rejects(create({ max_tokens: 5 }), OpenAI.BadRequestError);
    await assert.rejects(create({ prompt: [99_999] }), { code: 'TOKEN_OUT_OF_RANGE' });
  });

  it('are answered by a plain fetch in the shapes of SGLang, prime-rl and the Open Inference Protocol', async () => {
    await eventually(() => local.servers().length === 0, 'nothing runs');
    const post = async (path: string, body: object, prefix = '/default/tiny') => {
      const response = await fetch(`${local.url}${prefix}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      assert.equal(response.status, 200, await response.clone().text());
      return response.json();
    };

    const sglang = (await post('/generate', {
      input_ids: prompt[0],
      sampling_params: { max_new_tokens: 0 },
      return_logprob: true,
      logprob_start_len: 0,
    })) as { meta_info: { input_token_logprobs: [number | null, number, null][] } };
    const primeRl = (await post('/inference/v1/generate', {
      model: 'anything',
      token_ids: prompt[0],
      sampling_params: { max_tokens: 1, prompt_logprobs: 1 },
    })) as { prompt_logprobs: (Record<string, { logprob: number }> | null)[] };

    const inference = (await post(
      '/v2/models/default/tiny/infer',
      {
        inputs: [
          { name: 'input_ids', datatype: 'INT64', shape: [1, prompt[0]?.length], data: prompt[0] },
        ],
      },
      '',
    )) as { outputs: { data: (number | null)[] }[] };

    const want = rows[0]?.log_probs ?? [];
    near(inference.outputs[0]?.data.slice(1) ?? [], want, 5e-5);
    near(
      sglang.meta_info.input_token_logprobs.slice(1).map(([value]) => value),
      want,
      5e-5,
    );
    const entries = primeRl.prompt_logprobs.slice(1);
    near(
      entries.map((entry, i) => entry?.[prompt[0]?.[i + 1] ?? -1]?.logprob),
      want,
      5e-5,
    );
  });
});
