import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { outputs } from '../../../../../server/api/native/request.ts';
import { BigramModels, bigram, scoreRow } from '../../../../support/bigram-model.ts';
import { startServerKit, until } from '../../../../support/server-kit.ts';

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
      align: 'target',
      temperature: 1,
      usage: { prompt_tokens: 4, scored_tokens: 2, padded_tokens: 0 },
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
    assert.deepEqual(body.usage, { prompt_tokens: 6, scored_tokens: 3, padded_tokens: 4 });
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

const floats = (values: (number | null)[]) =>
  values.map((value) => (value === null ? null : Math.fround(value)));
const row = [5, 9, 2, 7];

describe('what /v1/logprobs may be asked', () => {
  it('answers every output where its token stands, and null where nothing is scored', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const candidate_ids = [[], [1], [3, 4], [-1, 6]];

    const { body } = await kit.post('/v1/logprobs', {
      input_ids: [row],
      prompt_lengths: [2],
      temperature: [0.5],
      top_k: 2,
      candidate_ids: [candidate_ids],
      outputs: [...outputs],
    });

    const candidates = { ids: Int32Array.of(3, 4, -1, 6), width: 2 };
    const want = scoreRow({
      tokens: Int32Array.from(row),
      positions: Int32Array.of(2, 3),
      temperature: 0.5,
      topK: 2,
      candidates,
      wantsRanks: true,
      wantsEntropies: true,
      wantsNormalizers: true,
      wantsTails: true,
      wantsHidden: true,
    });
    const none = [null, null];
    for (const [name, values] of [
      ['logprobs', want.logprobs],
      ['entropies', want.entropies],
      ['logsumexp', want.normalizers],
      ['tail', want.tails],
    ] as const) {
      assert.deepEqual(floats(body[name][0]), [...none, ...values], name);
    }
    assert.deepEqual(body.ranks[0], [...none, ...want.ranks]);
    assert.deepEqual(body.topk_ids[0].slice(0, 2), none);
    assert.deepEqual(body.topk_ids[0].slice(2).flat(), [...want.topIds]);
    assert.deepEqual(floats(body.topk_logprobs[0].slice(2).flat()), [...want.topLogprobs]);
    const [, , first, second] = body.candidate_logprobs[0];
    assert.deepEqual(
      floats([...first, second[1]]),
      [0, 1, 3].map((i) => want.candidateLogprobs[i]),
    );
    assert.equal(second[0], null);
    assert.deepEqual(body.hidden_states[0].slice(2).flat(), [...want.hidden]);
    assert.deepEqual(body.sums, [want.logprobs[0]! + want.logprobs[1]!]);
  });

  const scored = [null, null, bigram(9)[2]!, bigram(2)[7]!];
  for (const [name, fields, want] of [
    ['prompt_lengths', { prompt_lengths: [2] }, scored],
    ['score_start for all rows', { score_start: 2 }, scored],
    ['score_mask', { score_mask: [[1, 0, 1, 1]] }, scored],
    ['align source', { prompt_lengths: [2], align: 'source' }, scored.slice(1)],
    ['align response', { prompt_lengths: [2], align: 'response' }, scored.slice(2)],
    ['fill', { prompt_lengths: [2], fill: 0 }, [0, 0, ...scored.slice(2)]],
    ['a mask with holes', { score_mask: [[0, 0, 0, 1]] }, [null, null, null, scored[3]!]],
  ] as const) {
    it(`scores what ${name} says`, async () => {
      await using kit = await startServerKit({ load: new BigramModels().load });

      const { body } = await kit.post('/v1/logprobs', { input_ids: [row], ...fields });

      assert.deepEqual(floats(body.logprobs[0]), [...want]);
    });
  }

  it('reads packed rows, and rows in groups', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const ragged = await kit.post('/v1/logprobs', {
      input_ids: [row, [3, 4]],
      prompt_lengths: [2, 1],
    });

    const packed = await kit.post('/v1/logprobs', {
      input_ids: [...row, 3, 4],
      cu_seqlens: [0, 4, 6],
      score_mask: [0, 0, 1, 1, 0, 1],
    });
    const groups = await kit.post('/v1/logprobs', {
      groups: [
        { prefix: [5, 9], suffixes: [[2, 7]] },
        { prefix: [3], suffixes: [[4]] },
      ],
    });

    assert.deepEqual(packed.body.logprobs, ragged.body.logprobs);
    assert.deepEqual(groups.body.logprobs, ragged.body.logprobs);
  });

  it('tells how far the policy is, in the answer, the metrics and the log', async () => {
    await using kit = await startServerKit({ load: new BigramModels().load });
    const reference = [bigram(5)[9]!, bigram(9)[2]!];
    const policy = [reference[0]! + 1, reference[1]! - 1];

    const { body } = await kit.post('/v1/logprobs', {
      input_ids: [[5, 9, 2]],
      policy_logprobs: [[null, ...policy]],
    });

    assert.equal(body.kl.tokens, 2);
    assert.ok(Math.abs(body.kl.k1) < 1e-6, `k1 ${body.kl.k1}`);
    const k3 = (Math.exp(-1) + Math.exp(1) - 2) / 2;
    assert.ok(Math.abs(body.kl.k3 - k3) < 1e-6, `k3 ${body.kl.k3}`);
    const { text } = await kit.get('/metrics');
    assert.match(text, /policy_divergence_warnings_total\{model="rl\/tiny"\} 1/);
  });

  it('answers only for the revision and the tokenizer that are pinned', async () => {
    const folder = 'examples/models/tiny-python-llama';
    const { load } = new BigramModels({ folder });
    await using kit = await startServerKit({ load });
    const file = await readFile(`${folder}/tokenizer.json`);
    const digest = `sha256:${createHash('sha256').update(file).digest('hex')}`;
    const ask = (fields: object) => kit.post('/v1/logprobs', { input_ids: [[1, 2]], ...fields });

    const good = await ask({ revision: 'revision-of-rl/tiny', tokenizer_digest: digest });
    const other = await ask({ revision: 'another' });
    const text = await ask({ tokenizer_digest: 'sha256:1' });

    assert.equal(good.status, 200);
    assert.equal(other.status, 409);
    assert.equal(other.body.error.code, 'REVISION_MISMATCH');
    assert.equal(text.body.error.code, 'TOKENIZER_MISMATCH');
    assert.ok(text.body.error.message.includes(digest), 'it has the digest');
  });

  for (const [name, fields, says] of [
    ['rows of two kinds', { cu_seqlens: [0, 2], attention_mask: [[1, 1]] }, /one of them/],
    ['two ways to say what is scored', { prompt_lengths: [1], score_start: 1 }, /one of them/],
    ['a prompt longer than its row', { prompt_lengths: [5] }, /prompt_lengths\[0\].*4/],
    ['a mask of another length', { score_mask: [[1]] }, /score_mask\[0\].*4/],
    ['a temperature of 0', { temperature: 0 }, /temperature/],
    ['a temperature that makes logits infinite', { temperature: 5e-324 }, /temperature/],
    ['a temperature of nothing for one row', { temperature: [null] }, /temperature\[0\]/],
    ['temperatures for other rows', { temperature: [1, 1] }, /temperature/],
    ['candidates for other positions', { candidate_ids: [[[1]]] }, /candidate_ids\[0\]/],
    [
      'candidates that are no ids',
      { candidate_ids: [[[], ['x'], [], []]] },
      /candidate_ids\[0\]\[1\]/,
    ],
    ['tops without a number', { outputs: ['topk'] }, /top_k/],
    ['a tail of nothing', { outputs: ['tail'] }, /tail/],
    ['too many tops', { top_k: 1000 }, /256/],
    [
      'a policy without a value',
      { policy_logprobs: [[0, null, 0, 0]] },
      /policy_logprobs\[0\]\[1\]/,
    ],
  ] as const) {
    it(`refuses ${name}, and names the field`, async () => {
      await using kit = await startServerKit({ load: new BigramModels().load });

      const { status, body } = await kit.post('/v1/logprobs', { input_ids: [row], ...fields });

      assert.equal(status, 400, JSON.stringify(body).slice(0, 300));
      assert.equal(body.error.code, 'INVALID_REQUEST');
      assert.match(body.error.message, says);
    });
  }
});
