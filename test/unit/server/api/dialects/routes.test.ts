import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type DialectKit, startDialectKit } from '../../../../support/dialect-kit.ts';

const bodies = {
  '/v1/completions': { prompt: [1, 2] },
  '/inference/v1/generate': { token_ids: [1, 2], sampling_params: {} },
  '/generate': { input_ids: [1, 2] },
  '/get_sequence_logprobs': { sequences: [[1, 2]], prompt_lengths: [1] },
  '/tokenize': { prompt: '!' },
  '/detokenize': { tokens: [1] },
};
const rewards = {
  '/classify': { input: [1] },
  '/v1/classify': { text: '!' },
  '/pooling': { input: [1] },
  '/v1/embeddings': { input: [1] },
  '/get_reward': { query: ['!'] },
  '/v1/score/evaluation': { messages: ['!'] },
  '/remote_rm': { prompt: '!', response: '"' },
};

for (const [labels, routes] of [
  [[], bodies],
  [['good'], rewards],
] as const) {
  describe(`routes of a ${labels.length > 0 ? 'reward' : 'language'} model`, () => {
    let kit: DialectKit;
    before(async () => {
      kit = await startDialectKit({ labels });
    });
    after(() => kit[Symbol.asyncDispose]());

    for (const [route, body] of Object.entries(routes)) {
      it(`${route} answers with and without a slash at its end, and without a model's name`, async () => {
        for (const path of [route, `${route}/`]) {
          const { status, text } = await kit.post(path, body);
          assert.equal(status, 200, text);
        }
      });

      it(`${route} calls a wrong body 400, a wrong method 405, and an unknown model 404`, async () => {
        const wrong = await kit.post(route, { anything: 1 });
        const unknown = await kit.post(route, { ...body, model: 'unknown' });
        const method = await kit.get(route);

        assert.deepEqual([wrong.status, method.status], [400, 405]);
        assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'MODEL_NOT_FOUND']);
        assert.equal(typeof wrong.body.error.message, 'string');
      });
    }
  });
}

const long = Array.from({ length: 20 }, (_, i) => i + 1);
const many = Array.from({ length: 20 }, () => [1, 2]);
const zeros = long.map(() => 0);

describe('long lists', () => {
  for (const [labels, route, body] of [
    [[], '/v1/completions', { prompt: long, echo: true, logprobs: 0 }],
    [[], '/v1/completions', { prompt: [long], echo: true, logprobs: 0 }],
    [[], '/inference/v1/generate', { token_ids: long, sampling_params: { prompt_logprobs: 0 } }],
    [[], '/generate', { input_ids: long, return_logprob: true, logprob_start_len: 0 }],
    [[], '/generate', { input_ids: many, return_logprob: true, logprob_start_len: zeros }],
    [[], '/generate', { input_ids: [1, 2], return_logprob: true, token_ids_logprob: long }],
    [[], '/get_sequence_logprobs', { sequences: many, prompt_lengths: zeros, top_logprobs: 1 }],
    [[], '/detokenize', { tokens: long }],
    [['good'], '/classify', { input: long }],
    [['good'], '/classify', { input_ids: [long] }],
    [['good'], '/v1/embeddings', { input: long }],
  ] as const) {
    it(`of ${Object.keys(body).join(', ')} mean the same to ${route} in a large body and in a small one`, async () => {
      await using inline = await startDialectKit({ labels });
      await using packed = await startDialectKit({ labels }, { REFMODEL_INLINE_BODY_BYTES: '1' });

      const [small, large] = [await inline.post(route, body), await packed.post(route, body)];

      assert.equal(small.status, 200, small.text);
      assert.deepEqual(withoutIds(large.body), withoutIds(small.body));
    });
  }
});

/** What differs from answer to answer. */
function withoutIds(body: unknown): unknown {
  return JSON.parse(
    JSON.stringify(body, (key, value: unknown) =>
      ['id', 'request_id', 'created'].includes(key) ? 0 : value,
    ),
  );
}
