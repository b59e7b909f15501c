// The fields that slime, axolotl and lm-eval send and read.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { bigram } from '../../../../support/bigram-model.ts';
import { type DialectKit, float32, startDialectKit } from '../../../../support/dialect-kit.ts';

const slime = {
  input_ids: [60, 40, 3],
  sampling_params: { temperature: 0.8, max_new_tokens: 0, skip_special_tokens: false },
  return_logprob: true,
  logprob_start_len: 0,
};

describe('POST /generate', () => {
  let kit: DialectKit;
  before(async () => {
    kit = await startDialectKit();
  });
  after(() => kit[Symbol.asyncDispose]());

  it('gives slime one object with a triple for each token, the first without a value', async () => {
    const { body } = await kit.post('/generate', slime);

    const triples = body.meta_info.input_token_logprobs;
    assert.deepEqual(triples[0], [null, 60, null]);
    assert.equal(float32(triples[1][0]), bigram(60)[40]);
    assert.deepEqual(
      triples.map((triple: unknown[]) => triple[1]),
      slime.input_ids,
    );
    assert.deepEqual(body.output_ids, []);
    assert.deepEqual(body.meta_info.output_token_logprobs, []);
  });

  it('answers a list with a list, of one too', async () => {
    const { body } = await kit.post('/generate', { ...slime, input_ids: [[1, 2]] });

    assert.equal(body.length, 1);
    assert.equal(body[0].meta_info.prompt_tokens, 2);
  });

  it('gives lm-eval the best token beside each one, and one new token', async () => {
    const { body } = await kit.post('/generate', {
      input_ids: [[1, 2, 3]],
      sampling_params: { max_new_tokens: 1, temperature: 0 },
      logprob_start_len: 0,
      top_logprobs_num: 1,
      return_logprob: true,
    });

    const [{ meta_info: meta, output_ids: ids }] = body;
    assert.equal(meta.input_top_logprobs.length, 3);
    assert.equal(float32(meta.input_top_logprobs[1][0][0]), Math.max(...bigram(1)));
    assert.equal(ids.length, 1);
    assert.equal(meta.output_token_logprobs[0][1], ids[0]);
  });

  it('reads texts, and shows texts only where asked', async () => {
    const ask = async (fields: object) =>
      (
        await kit.post('/generate', {
          text: '!"',
          return_logprob: true,
          logprob_start_len: 0,
          ...fields,
        })
      ).body.meta_info.input_token_logprobs;

    assert.deepEqual(
      (await ask({ return_text_in_logprobs: true })).map((triple: unknown[]) => triple.slice(1)),
      [
        [1, '<bos>'],
        [3, '!'],
        [4, '"'],
      ],
    );
    assert.deepEqual((await ask({}))[1]?.[2], null);
  });

  it('scores chosen ids at every position', async () => {
    const { body } = await kit.post('/generate', { ...slime, token_ids_logprob: [9, 5] });

    const [first, second] = body.meta_info.input_token_ids_logprobs;
    assert.equal(first, null);
    assert.deepEqual(
      second.map(([value, id]: [number, number]) => [float32(value), id]),
      [
        [bigram(60)[9], 9],
        [bigram(60)[5], 5],
      ],
    );
  });

  it('scores other ids at each position, by the position of the token itself', async () => {
    const positions = { token_ids_logprob_positions: [[], [7], [], [9, 5]] };
    const { body } = await kit.post('/generate', {
      ...slime,
      input_ids: [2, 60, 3, 4],
      ...positions,
    });

    const [first, ...others] = body.meta_info.input_token_ids_logprobs;
    assert.equal(first, null);
    const read = others.map((entries: [number, number][]) =>
      entries.map(([value, id]) => [float32(value), id]),
    );
    assert.deepEqual(read, [
      [[bigram(2)[7], 7]],
      [],
      [
        [bigram(3)[9], 9],
        [bigram(3)[5], 5],
      ],
    ]);
  });

  it('refuses with 400 what it cannot do', async () => {
    for (const fields of [
      { sampling_params: { max_new_tokens: 2 } },
      { input_ids: [] },
      { input_ids: undefined },
      { logprob_start_len: 4 },
      { stream: true },
      { token_ids_logprob: [64] },
      { token_ids_logprob_positions: [[1]] },
      { token_ids_logprob_positions: [[], [], [], []], token_ids_logprob: [1] },
    ]) {
      const { status } = await kit.post('/generate', { ...slime, ...fields });
      assert.equal(status, 400, JSON.stringify(fields));
    }
  });

  it('says at /get_model_info what the model does', async () => {
    const { body } = await kit.get('/get_model_info');

    assert.equal(body.is_generation, true);
    assert.equal(body.model_path, 'rl/tiny');
  });
});
