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
