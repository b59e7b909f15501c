// The fields that prime-rl and SkyRL send and read.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { bigram } from '../../../../support/bigram-model.ts';
import { type DialectKit, float32, startDialectKit } from '../../../../support/dialect-kit.ts';

const primeRl = {
  model: 'rl/tiny',
  token_ids: [60, 40, 3],
  sampling_params: { max_tokens: 1, prompt_logprobs: 1, temperature: 1.0, top_p: 1.0 },
};

describe('POST /inference/v1/generate', () => {
  let kit: DialectKit;
  before(async () => {
    kit = await startDialectKit();
  });
  after(() => kit[Symbol.asyncDispose]());

  it('has the token itself first at every position, and null at the first', async () => {
    const { text, body } = await kit.post('/inference/v1/generate', primeRl);

    const [, first] = /"prompt_logprobs":\[null,\{"(\d+)"/.exec(text) ?? [];
    assert.equal(first, '40');
    assert.equal(body.prompt_logprobs.length, 3);
    assert.equal(float32(body.prompt_logprobs[1][40].logprob), bigram(60)[40]);
    assert.deepEqual(Object.keys(body.prompt_logprobs[2][3]), ['logprob', 'rank', 'decoded_token']);
    assert.equal(
      Math.min(...Object.values<{ rank: number }>(body.prompt_logprobs[2]).map((e) => e.rank)),
      1,
    );
  });

  it('has one greedy token, and the id of the request', async () => {
    const { body } = await kit.post('/inference/v1/generate', { ...primeRl, request_id: 'mine' });

    const best = bigram(3).indexOf(Math.max(...bigram(3)));
    assert.deepEqual(body.choices, [
      { index: 0, logprobs: null, finish_reason: 'length', token_ids: [best] },
    ]);
    assert.equal(body.request_id, 'mine');
  });

  it('scores without generating, shows candidates of the new token, and scales where asked', async () => {
    const ask = async (sampling_params: object) =>
      (await kit.post('/inference/v1/generate', { ...primeRl, sampling_params })).body;

    const scored = await ask({ prompt_logprobs: 0 });
    const generated = await ask({ max_tokens: 1, logprobs: 2 });
    const hot = await ask({ prompt_logprobs: 0, prompt_logprobs_temperature: 2 });

    assert.deepEqual(scored.choices[0].token_ids, []);
    assert.equal(generated.prompt_logprobs, null);
    const [content] = generated.choices[0].logprobs.content;
    assert.equal(content.top_logprobs.length, 2);
    assert.equal(content.token, content.top_logprobs[0].token);
    assert.notEqual(hot.prompt_logprobs[1][40].logprob, scored.prompt_logprobs[1][40].logprob);
  });

  it('refuses with 400 what it cannot do', async () => {
    for (const fields of [
      { token_ids: [] },
      { token_ids: ['a'] },
      { token_ids: [[1]] },
      { token_ids: [64] },
      { sampling_params: { max_tokens: 2 } },
      { sampling_params: { prompt_logprobs: 10_000 } },
      { sampling_params: undefined },
      { stream: true },
    ]) {
      const { status } = await kit.post('/inference/v1/generate', { ...primeRl, ...fields });
      assert.equal(status, 400, JSON.stringify(fields));
    }
  });
});
