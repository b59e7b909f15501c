import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { completionsRequest } from '../../../../../server/api/dialects/completions.ts';
import { parseBody } from '../../../../../server/api/schemas.ts';
import { BigramModels, bigram } from '../../../../support/bigram-model.ts';
import { startServerKit } from '../../../../support/server-kit.ts';
import { chatFolder } from '../../../../support/text-kit.ts';

const greedy = (last: number) => {
  const all = bigram(last);
  return all.indexOf(Math.max(...all));
};
/** The bodies that known clients send. */
const lmEval = {
  model: 'tiny',
  prompt: [[1, 2, 3]],
  temperature: 0,
  max_tokens: 1,
  logprobs: 1,
  seed: 1234,
  echo: true,
};
const axolotl = {
  prompt: [1, 2, 3],
  echo: true,
  prompt_logprobs: 2,
  logprobs: true,
  temperature: 0.7,
};

async function ask(body: object) {
  await using kit = await startServerKit({
    load: new BigramModels({ folder: 'examples/models/tiny-python-llama' }).load,
  });
  const res = await kit.post('/v1/completions', body);
  assert.equal(res.status, 200, res.text);
  return res;
}

describe('POST /v1/completions', () => {
  it('scores a batch of prompts, each with its index', async () => {
    const { body, text } = await ask({
      prompt: [
        [1, 2, 3],
        [4, 5],
      ],
      max_tokens: 1,
      prompt_logprobs: 5,
    });

    assert.deepEqual(
      body.choices.map((choice: { index: number }) => choice.index),
      [0, 1],
    );
    assert.deepEqual(
      body.choices.map((choice: { prompt_logprobs: unknown[] }) => choice.prompt_logprobs.length),
      [3, 2],
    );
    assert.equal(Math.fround(body.choices[1].prompt_logprobs[1][5].logprob), bigram(4)[5]);
    assert.match(text, /"prompt_logprobs":\[null,\{"2":/);
    assert.deepEqual(body.usage, { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 });
    assert.equal(body.object, 'text_completion');
    assert.match(body.id, /^cmpl-/);
  });

  it('scores without generating when max_tokens is 0 or absent', async () => {
    for (const max_tokens of [0, undefined, null]) {
      const { body } = await ask({ prompt: [1, 2], max_tokens, prompt_logprobs: 0 });

      assert.equal(body.choices[0].text, '');
      assert.equal(body.usage.completion_tokens, 0);
      assert.equal(body.choices[0].prompt_logprobs.length, 2);
    }
  });

  it('gives what lm-eval reads: the echoed list, one generated token at its end', async () => {
    const { body } = await ask(lmEval);

    const { tokens, token_logprobs, top_logprobs } = body.choices[0].logprobs;
    assert.equal(tokens.length, 4);
    assert.equal(token_logprobs[0], null);
    assert.equal(Math.max(...Object.values<number>(top_logprobs[3])), token_logprobs[3]);
    assert.equal(Math.fround(token_logprobs[3]), bigram(3)[greedy(3)]);
  });

  it('takes a boolean for logprobs, as axolotl sends it', async () => {
    const { body } = await ask(axolotl);

    assert.equal(body.choices[0].logprobs.tokens.length, 3);
    assert.equal(body.choices[0].prompt_logprobs.length, 3);
  });

  it('does not apply the temperature, and says so', async () => {
    const [cold, hot] = [await ask({ ...axolotl, temperature: 0.1 }), await ask(axolotl)];

    assert.deepEqual(cold.body.choices, hot.body.choices);
    assert.equal(hot.headers.get('x-refmodel-temperature'), '1');
    assert.equal(hot.headers.get('x-refmodel-revision'), 'revision-of-rl/tiny');
  });

  it('generates one greedy token, and scores nothing else for it', async () => {
    const { body } = await ask({ prompt: [1, 2], max_tokens: 1, logprobs: 0 });

    const { token_logprobs } = body.choices[0].logprobs;
    assert.deepEqual(token_logprobs.map(Math.fround), [bigram(2)[greedy(2)]]);
    assert.equal(body.choices[0].prompt_logprobs, null);
  });

  it('lists the token itself only for logprobs 0, with echo', async () => {
    const { body } = await ask({ prompt: [40, 41], echo: true, logprobs: 0 });

    const [first, second] = body.choices[0].logprobs.top_logprobs;
    assert.equal(first, null);
    assert.equal(Object.keys(second).length, 1);
  });

  it('reads texts with the tokenizer of the model, alone, in a list and among ids', async () => {
    using folder = await chatFolder();
    await using kit = await startServerKit({
      load: new BigramModels({ folder: folder.path }).load,
    });
    const text = '"'; // its id is in the small vocabulary of the double
    const complete = async (prompt: unknown) =>
      (await kit.post('/v1/completions', { prompt, echo: true, prompt_logprobs: 0 })).body;
    const { tokens } = (await kit.post('/tokenize', { prompt: text })).body;

    const alone = await complete(text);
    const mixed = await complete([text, tokens, `<bos>${text}`]);

    assert.equal(tokens[0], 1);
    assert.equal(alone.choices[0].text, `<bos>${text}`);
    assert.deepEqual(alone.choices, (await complete(tokens)).choices);
    assert.deepEqual(
      mixed.choices.map((choice: object) => ({ ...choice, index: 0 })),
      Array.from({ length: 3 }, () => alone.choices[0]),
    );
  });

  it('refuses what it cannot do with 400 and a clear word, and ignores what it does not know', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const prompt = [1, 2];
    for (const body of [
      { prompt, max_tokens: 2 },
      { prompt, n: 2 },
      { prompt, stream: true },
      { prompt, logprobs: -1 },
      { prompt, prompt_logprobs: 1000 },
      { prompt: { text: 'a' } },
      { prompt: 'a text without a tokenizer' },
      {},
    ]) {
      const { status, body: answer } = await kit.post('/v1/completions', body);

      assert.equal(status, 400, JSON.stringify(body));
      assert.equal(answer.error.type, 'invalid_request_error');
    }
    const known = await kit.post('/v1/completions', { prompt, best_of: 1, anything: {} });
    assert.equal(known.status, 200);
  });
});

describe('the body of /v1/completions', () => {
  it('may carry what only steers sampling', () => {
    const body = { prompt: [1], temperature: 0.7, seed: 1, top_p: 0.1, n: 1, stream: false };

    parseBody(completionsRequest, body);
  });

  it('takes a number or a boolean for logprobs', () => {
    for (const logprobs of [0, 5, true, false, null]) {
      parseBody(completionsRequest, { prompt: [1], logprobs });
    }
  });

  for (const [name, fields] of [
    ['more than one new token', { max_tokens: 2 }],
    ['a negative number of new tokens', { max_tokens: -1 }],
    ['several choices', { n: 2 }],
    ['streaming', { stream: true }],
    ['a negative number of candidates', { prompt_logprobs: -1 }],
    ['a prompt that is a number', { prompt: 5 }],
  ] as const) {
    it(`is refused with ${name}`, () => {
      assert.throws(() => parseBody(completionsRequest, { prompt: [1], ...fields }), {
        code: 'INVALID_REQUEST',
      });
    });
  }
});
