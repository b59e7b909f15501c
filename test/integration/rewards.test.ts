// Reward models, and how far converted models are from their checkpoints, over HTTP and the real engine.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { silentLogger } from '../../common/log.ts';
import tiny from '../../examples/models/tiny-python-reward/golden.json' with { type: 'json' };
import { createLoader } from '../../server/model/load.ts';
import gemma from '../golden/reward-gemma2-5labels/golden.json' with { type: 'json' };
import { type ServerKit, startServerKit } from '../support/server-kit.ts';
import { checkpoint } from '../support/server-process.ts';

const tinyFolder = 'examples/models/tiny-python-reward';
const llamaFolder = 'examples/models/tiny-python-llama';
const int8 = { quantization: 'Int8' } as const;

/** Largest difference of answered scores from the truth. */
function worst(rewards: number[][], truth: { scores: number[] }[]): number {
  assert.deepEqual(
    rewards.map(({ length }) => length),
    truth.map(({ scores }) => scores.length),
  );
  return Math.max(
    ...rewards.flatMap((row, r) => row.map((value, i) => Math.abs(value - truth[r]!.scores[i]!))),
  );
}

describe('rewards over the real engine', () => {
  let folder: string;
  let kit: ServerKit;
  const ask = (body: object) => kit.post('/v1/rewards', { model: 'rl/tiny', ...body });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'refmodel-rewards-'));
    const load = createLoader({ cacheDir: join(folder, 'cache'), threads: 2, log: silentLogger });
    kit = await startServerKit({
      load,
      env: { REFMODEL_MAX_MODELS: '6' },
      models: [
        checkpoint('rl/tiny', tinyFolder, { task: 'Reward' }),
        checkpoint('rl/tiny-int8', tinyFolder, int8),
        checkpoint('rl/gemma', 'test/golden/reward-gemma2-5labels'),
        checkpoint('rl/llama', llamaFolder),
        checkpoint('rl/llama-int8', llamaFolder, int8),
        checkpoint('rl/llama-strict', llamaFolder, { ...int8, maxKL: 1e-9 }),
      ],
    });
  });
  after(async () => {
    await kit[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  it('answers the golden scores of the trained reward model', async () => {
    const { status, body } = await ask({ input_ids: tiny.rows.map((row) => row.input_ids) });

    assert.equal(status, 200);
    const rewards: number[] = body.rewards;
    const off = worst(
      rewards.map((reward) => [reward]),
      tiny.rows,
    );
    assert.ok(off <= 5e-4, `off by ${off}`);
  });

  it('answers the golden scores of a model with five labels, by their names', async () => {
    const input_ids = gemma.rows.map((row) => row.input_ids);

    const { body } = await ask({ model: 'rl/gemma', input_ids });

    const off = worst(body.rewards, gemma.rows);
    assert.ok(off <= 5e-4, `off by ${off}`);
    assert.deepEqual(body.labels, ['L0', 'L1', 'L2', 'L3', 'L4']);
  });

  it('answers the same bits alone, in a batch, and with padding on either side', async () => {
    const rows = tiny.rows.slice(0, 3).map((row) => row.input_ids.slice(0, 60));
    const [row = []] = rows;
    const pads = [0, 0, 0];
    const ones = row.map(() => 1);

    const alone = (await ask({ input_ids: [row] })).body.rewards;
    const batched = (await ask({ input_ids: rows })).body.rewards;
    const padded = await ask({
      input_ids: [
        [...pads, ...row],
        [...row, ...pads],
      ],
      attention_mask: [
        [...pads, ...ones],
        [...ones, ...pads],
      ],
    });
    const unmasked = (await ask({ input_ids: [[...row, ...pads]] })).body.rewards;

    assert.equal(batched[0], alone[0]);
    assert.deepEqual(padded.body.rewards, [alone[0], alone[0]]);
    assert.notEqual(unmasked[0], alone[0]);
  });

  it('stays near the truth with 8 bits, and tells how near, in the answer and in the state', async () => {
    const input_ids = tiny.rows.map((row) => row.input_ids);

    const { body } = await ask({ model: 'rl/tiny-int8', input_ids });

    const rewards: number[] = body.rewards;
    const off = worst(
      rewards.map((reward) => [reward]),
      tiny.rows,
    );
    assert.ok(off < 0.5, `off by ${off}`);
    const { kl, mean_abs_delta, max_abs_delta } = body.fidelity;
    assert.equal(kl, undefined);
    assert.ok(mean_abs_delta > 0 && mean_abs_delta <= max_abs_delta, JSON.stringify(body.fidelity));
    const { models } = (await kit.get('/state')).body;
    const state = models.find(({ name }: { name: string }) => name === 'rl/tiny-int8');
    assert.equal(state.identity.task, 'Reward');
    assert.equal(state.fidelity.meanAbsDelta, mean_abs_delta);
  });

  it('tells the divergence of a converted language model, in the answer and in the metrics', async () => {
    const [row] = tiny.rows;

    const { body } = await kit.post('/v1/logprobs', {
      model: 'rl/llama-int8',
      input_ids: [row?.input_ids],
    });

    const { kl, tokens } = body.fidelity;
    assert.ok(kl > 0 && kl < 0.05 && tokens > 0, JSON.stringify(body.fidelity));
    const metrics = (await kit.get('/metrics')).text.split('\n');
    const line = `refmodel_server_fidelity_kl{model="rl/llama-int8"} ${kl}`;
    assert.ok(metrics.includes(line), line);
  });

  it('does not serve what is further from its checkpoint than its catalog allows', async () => {
    const model = 'rl/llama-strict';

    const { status, body } = await kit.post('/v1/logprobs', { model, input_ids: [[1, 2]] });

    assert.equal(status, 500);
    assert.equal(body.error.code, 'FIDELITY_TOO_LOW');
    const { models } = (await kit.get('/state')).body;
    const failed = models.find(({ name }: { name: string }) => name === model);
    assert.deepEqual([failed.residency, failed.error.code], ['Failed', 'FIDELITY_TOO_LOW']);
  });

  it('sends each question to the route that can answer it', async () => {
    const input_ids = [[1, 2, 3]];

    const rewards = await ask({ model: 'rl/llama', input_ids });
    const logprobs = await kit.post('/v1/logprobs', { model: 'rl/tiny', input_ids });

    assert.deepEqual([rewards.status, rewards.body.error.code], [400, 'TASK_MISMATCH']);
    assert.deepEqual([logprobs.status, logprobs.body.error.code], [400, 'TASK_MISMATCH']);
  });
});
