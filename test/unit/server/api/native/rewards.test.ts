import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BigramModels, rewardRow } from '../../../../support/bigram-model.ts';
import { catalogModel, startServerKit, until } from '../../../../support/server-kit.ts';

const rewards = (ids: number[], labels: number): number[] =>
  Array.from(rewardRow({ tokens: Int32Array.from(ids) }, labels));
const one = () => new BigramModels({ labels: ['LABEL_0'] });

/** Also as float32: the text of an answer is the shortest decimal of one. */
const float32 = (value: number): number => Math.fround(value);

describe('POST /v1/rewards', () => {
  it('answers a number per row for a model with one label', async () => {
    await using kit = await startServerKit({ load: one().load });

    const { status, body, headers } = await kit.post('/v1/rewards', {
      model: 'tiny',
      input_ids: [[5, 9, 2], [7]],
    });

    assert.equal(status, 200);
    const { rewards: answered, ...rest } = body;
    assert.deepEqual(answered.map(float32), [...rewards([5, 9, 2], 1), ...rewards([7], 1)]);
    assert.deepEqual(rest, {
      pooling: 'last_token',
      model: 'rl/tiny',
      revision: 'revision-of-rl/tiny',
      digest: 'sha256:0',
      quantization: 'None',
      dtype: 'float32',
      fidelity: null,
      usage: { prompt_tokens: 4, padded_tokens: 0 },
    });
    assert.equal(headers.get('x-refmodel-revision'), 'revision-of-rl/tiny');
    assert.equal(headers.get('x-refmodel-digest'), 'sha256:0');
    assert.equal(headers.get('x-refmodel-quantization'), 'None');
  });

  it('answers a list per row, and the names of its values, for a model with several', async () => {
    const labels = ['good', 'long', 'true'];
    await using kit = await startServerKit({ load: new BigramModels({ labels }).load });

    const { body } = await kit.post('/v1/rewards', { input_ids: [[5, 9], [7]] });

    assert.deepEqual(
      body.rewards.map((row: number[]) => row.map(float32)),
      [rewards([5, 9], 3), rewards([7], 3)],
    );
    assert.deepEqual(body.labels, labels);
  });

  it('writes the fewest digits that read back as the same float32', async () => {
    await using kit = await startServerKit({ load: one().load });

    const { text } = await kit.post('/v1/rewards', { input_ids: [[5]] });

    const [, value = ''] = /"rewards":\[([^\]]*)\]/.exec(text) ?? [];
    assert.equal(float32(Number(value)), rewards([5], 1)[0]);
    assert.ok(value.replace(/^-?0?\.?/, '').length <= 9, value);
  });

  it('answers the same for padding on the left, on the right, on both sides and for none', async () => {
    await using kit = await startServerKit({ load: one().load });

    const { body } = await kit.post('/v1/rewards', {
      input_ids: [
        [0, 0, 5, 9],
        [5, 9, 0, 0],
        [0, 5, 9, 0],
        [5, 9],
      ],
      attention_mask: [
        [0, 0, 1, 1],
        [1, 1, 0, 0],
        [0, 1, 1, 0],
        [1, 1],
      ],
    });

    assert.deepEqual(body.rewards.map(float32), Array(4).fill(rewards([5, 9], 1)[0]));
    assert.deepEqual(body.usage, { prompt_tokens: 8, padded_tokens: 6 });
  });

  it('counts every id where there is no mask: also one that may be a pad', async () => {
    await using kit = await startServerKit({ load: one().load });

    const { body } = await kit.post('/v1/rewards', { input_ids: [[5, 9, 0]] });

    assert.deepEqual(body.rewards.map(float32), rewards([5, 9, 0], 1));
  });

  it('tells how far a converted model is from its checkpoint', async () => {
    const fidelity = { meanAbsDelta: 0.25, maxAbsDelta: 0.5, tokens: 9 };
    const models = new BigramModels({ labels: ['LABEL_0'], fidelity });
    await using kit = await startServerKit({ load: models.load });

    const { body } = await kit.post('/v1/rewards', { input_ids: [[5]] });

    assert.deepEqual(body.fidelity, { mean_abs_delta: 0.25, max_abs_delta: 0.5, tokens: 9 });
  });

  it('refuses a language model, and names the routes that it has', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    const { status, body } = await kit.post('/v1/rewards', { input_ids: [[5]] });

    assert.equal(status, 400);
    assert.equal(body.error.code, 'TASK_MISMATCH');
    assert.match(body.error.message, /rl\/tiny.*\/v1\/logprobs/);
  });

  it('is named by the routes of log-probs when they are asked of a reward model', async () => {
    await using kit = await startServerKit({ load: one().load });

    for (const [route, request] of [
      ['/v1/logprobs', { input_ids: [[5, 6]] }],
      ['/v1/completions', { prompt: [5, 6], prompt_logprobs: 0 }],
    ] as const) {
      const { status, body } = await kit.post(route, request);

      assert.equal(status, 400);
      assert.equal(body.error.code, 'TASK_MISMATCH');
      assert.match(body.error.message, /\/v1\/rewards/);
    }
  });

  it('tries once more with a new runner when one dies', async () => {
    const models = one();
    models.passGate = new Promise(() => {});
    await using kit = await startServerKit({ load: models.load });
    const answer = kit.post('/v1/rewards', { input_ids: [[5]] });
    await until(() => models.sessions[0]?.passes.length === 1);

    models.passGate = Promise.resolve();
    models.sessions[0]?.die();

    assert.equal((await answer).status, 200);
    assert.equal(models.sessions.length, 2);
  });

  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    it(`never answers with ${value}`, async () => {
      const models = one();
      await using kit = await startServerKit({ load: models.load });
      await kit.request('PUT', '/cache/rl/tiny');
      const [session] = models.sessions;
      assert.ok(session, 'it is loaded');
      session.reward = async () => [Float32Array.of(value)];

      const { status, body } = await kit.post('/v1/rewards', { input_ids: [[5]] });

      assert.equal(status, 500);
      assert.equal(body.error.code, 'SCORE_NOT_A_NUMBER');
    });
  }

  it('is listed with the other models, and counts its tokens', async () => {
    const models = [catalogModel('rl/a'), catalogModel('rl/reward', { task: 'Reward' })];
    await using kit = await startServerKit({ load: one().load, models });
    await kit.post('/v1/rewards', { model: 'reward', input_ids: [[5, 6, 7]] });

    const listed = await kit.get('/v1/models');
    const metrics = await kit.get('/metrics');

    const ids = listed.body.data.map(({ id }: { id: string }) => id);
    assert.deepEqual(ids, ['rl/a', 'rl/reward']);
    assert.match(metrics.text, /^refmodel_server_prompt_tokens_total 3$/m);
    assert.match(metrics.text, /^refmodel_server_scored_tokens_total 0$/m);
    assert.match(metrics.text, /requests_total{route="\/v1\/rewards",code="200"} 1$/m);
  });
});
