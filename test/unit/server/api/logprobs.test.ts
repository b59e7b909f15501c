import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BigramModels, bigram } from '../../../support/bigram-model.ts';
import { startServerKit, until } from '../../../support/server-kit.ts';

const near = (actual: number, expected: number | undefined) =>
  assert.equal(Math.fround(actual), expected);

describe('POST /v1/logprobs', () => {
  it('answers full length and target-aligned, the first value null', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    const { status, body, headers } = await kit.post('/v1/logprobs', {
      model: 'tiny',
      input_ids: [[5, 9, 2], [7]],
    });

    assert.equal(status, 200);
    const [[first, second, third], single] = body.logprobs;
    assert.equal(first, null);
    near(second, bigram(5)[9]);
    near(third, bigram(9)[2]);
    assert.deepEqual(single, [null]);
    const { logprobs: _, ...rest } = body;
    assert.deepEqual(rest, {
      model: 'rl/tiny',
      revision: 'revision-of-rl/tiny',
      digest: 'sha256:0',
      quantization: 'None',
      dtype: 'float32',
      fidelity: null,
      usage: { prompt_tokens: 4, scored_tokens: 2 },
    });
    assert.equal(headers.get('x-refmodel-revision'), 'revision-of-rl/tiny');
    assert.equal(headers.get('x-refmodel-digest'), 'sha256:0');
    assert.equal(headers.get('x-refmodel-quantization'), 'None');
  });

  it('tells how far a converted model is from its checkpoint', async () => {
    const fidelity = { kl: 0.01, meanAbsDelta: 0.25, maxAbsDelta: 0.5, tokens: 9 };
    await using kit = await startServerKit({ load: new BigramModels({ fidelity }).load });

    const { body } = await kit.post('/v1/logprobs', { input_ids: [[5, 9]] });

    const told = { kl: 0.01, mean_abs_delta: 0.25, max_abs_delta: 0.5, tokens: 9 };
    assert.deepEqual(body.fidelity, told);
  });

  it('lets the requests of one run take turns as one', async () => {
    const models = new BigramModels();
    await using kit = await startServerKit({ load: models.load });
    let open = () => {};
    models.passGate = new Promise((resolve) => {
      open = resolve;
    });
    const order: string[] = [];
    const ask = async (name: string, run: string, first: number) => {
      const rows = [1, 2, 3].map((last) => Array.from({ length: 60 }, (_, i) => (i % 7) * last));
      const input_ids = rows.map((row) => [first, ...row]);
      await kit.post('/v1/logprobs', { input_ids }, { 'x-refmodel-run': run });
      order.push(name);
    };
    const inFlight = async () => (await kit.get('/state')).body.models[0]?.inFlight ?? 0;
    const asked = [ask('a0', 'a', 1)];
    await until(() => models.sessions[0]?.passes.length === 1);
    for (const [i, [name, run]] of [
      ['a1', 'a'],
      ['a2', 'a'],
      ['a3', 'a'],
      ['b', 'b'],
    ].entries()) {
      asked.push(ask(name ?? '', run ?? '', 2 + i));
      await until(async () => (await inFlight()) === 2 + i);
    }

    open();
    await Promise.all(asked);

    assert.ok(order.indexOf('b') < order.indexOf('a3'), order.join(' '));
  });

  it('answers null at padding, and the same values for either side of it', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });

    const { body } = await kit.post('/v1/logprobs', {
      input_ids: [
        [0, 0, 5, 9],
        [5, 9, 0, 0],
        [5, 9],
      ],
      attention_mask: [
        [0, 0, 1, 1],
        [1, 1, 0, 0],
        [1, 1],
      ],
    });

    const [left, right, none] = body.logprobs;
    const value = none[1];
    near(value, bigram(5)[9]);
    assert.deepEqual(left, [null, null, null, value]);
    assert.deepEqual(right, [null, value, null, null]);
    assert.deepEqual(body.usage, { prompt_tokens: 6, scored_tokens: 3 });
  });

  it('drops the rows of a client who left', async () => {
    const models = new BigramModels();
    await using kit = await startServerKit({ load: models.load });
    let open = () => {};
    models.passGate = new Promise((resolve) => {
      open = resolve;
    });
    const first = kit.post('/v1/logprobs', { input_ids: [[1, 2]] });
    await until(() => models.sessions[0]?.passes.length === 1);

    const client = new AbortController();
    const left = kit.post('/v1/logprobs', { input_ids: [[3, 4]] }, {}, client.signal);
    await until(async () => (await kit.get('/state')).body.models[0].inFlight === 2);
    client.abort();
    await assert.rejects(left);
    await until(async () => (await kit.get('/state')).body.models[0].inFlight === 1);
    open();

    assert.equal((await first).status, 200);
    assert.deepEqual(models.sessions[0]?.passes, [1]);
  });
});
