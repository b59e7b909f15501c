// Clients of trainers and suites, installed from their registry, against `refmodel local`: each gets the golden values
// while the model sleeps and while it runs. Then a short run of GRPO and of DPO, whose losses must not depend on where the
// reference model is. Needs CLIENTS_PYTHON, which test/clients/install.sh prints.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { main as score } from '../../server/offline/main.ts';
import { eventually } from '../support/gateway-kit.ts';
import { exampleManifest, Local } from '../support/local-command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = 'examples/models/tiny-python-llama';
const golden = JSON.parse(readFileSync(`${folder}/golden.json`, 'utf8')) as {
  rows: { input_ids: number[]; log_probs: number[] }[];
};
const rows = golden.rows.slice(0, 4);
const judgeFolder = 'examples/models/tiny-python-reward';
const judge = JSON.parse(readFileSync(`${judgeFolder}/golden.json`, 'utf8')) as {
  rows: { input_ids: number[]; scores: number[] }[];
};
const python = process.env['CLIENTS_PYTHON'];
const skip = python === undefined && 'no CLIENTS_PYTHON, see test/clients/install.sh';

/** Runs a script; the last line that it prints is its answer. */
async function run(script: string, args: string[], input = ''): Promise<unknown> {
  const child = spawn(python ?? '', [script, ...args], {
    env: { ...process.env, HF_HUB_OFFLINE: '1', TOKENIZERS_PARALLELISM: 'false' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(input);
  const exited = once(child, 'exit');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = (await exited) as [number | null];
  assert.equal(code, 0, `${script}: ${err}`);
  return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '');
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function assertNear(got: readonly number[], want: readonly number[], by: number): void {
  assert.equal(got.length, want.length);
  const off = Math.max(...want.map((value, i) => Math.abs((got[i] ?? Number.NaN) - value)));
  assert.ok(off <= by, `off by ${off}`);
}

describe('clients of trainers and suites', { skip }, () => {
  let local: Local;
  let url: string;
  before(async () => {
    local = await Local.start(
      [
        exampleManifest('tiny', 'tiny-python-llama', '2s'),
        exampleManifest('reward', 'tiny-python-reward', '2s'),
      ].join('---'),
    );
    url = `${local.url}/default/tiny`;
  });
  after(async () => {
    await local.stop();
    local.remove();
  });

  const each = rows.map((row) => row.log_probs);
  for (const { client, want, by } of [
    { client: 'openai_sdk', want: each, by: 5e-5 },
    { client: 'trl_client', want: each, by: 5e-5 },
    { client: 'older_trl_client', want: each, by: 5e-5 },
    { client: 'lm_eval_completions', want: each.map((values) => [sum(values)]), by: 5e-3 },
  ]) {
    it(`${client}.py gets the golden values, held at first and then at once`, async () => {
      await eventually(() => local.servers().length === 0, 'nothing runs');

      const input = JSON.stringify(rows.map((row) => row.input_ids));
      const answers = await run(`test/clients/${client}.py`, [url, 'default/tiny'], input);

      const [cold, warm] = answers as [number[][], number[][]];
      assert.deepEqual(warm, cold);
      want.forEach((values, r) => assertNear(cold[r] ?? [], values, by));
    });
  }

  for (const client of ['openrlhf_rewards', 'verl_rewards']) {
    it(`${client}.py gets the golden scores, held at first and then at once`, async () => {
      await eventually(() => local.servers().length === 0, 'nothing runs');

      const input = JSON.stringify(judge.rows.map((row) => row.input_ids));
      const args = [`${local.url}/default/reward`, 'default/reward', judgeFolder];
      const answers = await run(`test/clients/${client}.py`, args, input);

      const [cold, warm] = answers as [number[][], number[][]];
      assert.deepEqual(warm, cold);
      judge.rows.forEach(({ scores }, r) => assertNear(cold[r] ?? [], scores, 5e-4));
    });
  }

  it('axolotl_teacher.py gets the same of both dialects, and the golden values where it asks for them', async () => {
    const input = JSON.stringify(rows.map((row) => row.input_ids));
    const answers = await run('test/clients/axolotl_teacher.py', [url], input);

    const [vllm, sglang] = answers as [(number | null)[][], (number | null)[][]];
    for (const [r, want] of each.entries()) {
      const own = vllm[r] ?? [];
      assertNear(
        own.map((value, i) => value ?? want[i] ?? Number.NaN),
        want,
        5e-5,
      );
      const known = (sglang[r] ?? []).map((value, i) => value ?? own[i] ?? null);
      assert.deepEqual(known, own);
    }
  });

  it('refmodel score writes the reference log-probs that TRL computes itself', async () => {
    using made = temporaryFolder();
    const [data, output] = ['test/datasets/preferences.parquet', join(made.path, 'out.parquet')];
    const want = (await run('test/clients/trl_dpo_reference.py', [folder, data])) as number[][];

    await score({}, ['--model', url, '--input', data, '--output', output]);

    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(output) });
    assert.equal(rows.length, want.length);
    for (const [r, row] of rows.entries()) {
      assertNear([row['ref_chosen_logps'], row['ref_rejected_logps']], want[r] ?? [], 1e-3);
    }
  });

  for (const method of ['dpo', 'grpo']) {
    it(`${method} has the same losses with the reference here and in the trainer`, async () => {
      const script = `examples/trl/${method}.py`;
      const losses = async (...args: string[]) => {
        const { steps } = (await run(script, [folder, ...args])) as { steps: { loss: number }[] };
        return steps.map(({ loss }) => loss);
      };

      const inTrainer = await losses();
      const served = await losses(url);

      assert.ok(inTrainer.length >= 3 && inTrainer.some((loss) => loss !== inTrainer[0]));
      assertNear(served, inTrainer, 1e-4);
    });
  }
});
