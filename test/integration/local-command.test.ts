// `refmodel local` as a person runs it: the real command, the real server, the trained model of the examples.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { eventually } from '../support/gateway-kit.ts';
import { exampleManifest, isAlive, Local } from '../support/local-command.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const models = join(root, 'examples/models');

interface GoldenRow {
  input_ids: number[];
  log_probs: number[];
}
const golden = JSON.parse(readFileSync(join(models, 'tiny-python-llama/golden.json'), 'utf8')) as {
  rows: GoldenRow[];
};

const manifest = (name: string, idleTimeout: string) =>
  exampleManifest(name, 'tiny-python-llama', idleTimeout);

const isLinux = process.platform === 'linux';
const hasCurl = spawnSync('curl', ['--version']).status === 0;

describe('refmodel local', { skip: !isLinux && 'reads /proc' }, () => {
  let local: Local;
  const rows = golden.rows.slice(0, 2);

  before(async () => {
    local = await Local.start(`${manifest('tiny', '1s')}---${manifest('twin', '1s')}`);
  });
  after(() => local.remove());

  it('runs no server before the first request, and lists its models', async () => {
    const list = (await (await fetch(`${local.url}/v1/models`)).json()) as {
      data: { id: string }[];
    };
    const cache = await (await fetch(`${local.url}/cache`)).json();

    assert.deepEqual(
      list.data.map(({ id }) => id),
      ['default/tiny', 'default/twin'],
    );
    assert.deepEqual(cache, { num_models: 0, max_models: 2, models: [] });
    assert.deepEqual(local.servers(), []);
  });

  it('starts exactly one server for twenty requests at once, and answers all of them right', async () => {
    const answers = Promise.all(
      Array.from({ length: 20 }, () => local.score(rows.map(({ input_ids }) => input_ids))),
    );
    const seen = new Set<number>();
    const watching = setInterval(() => local.servers().forEach((pid) => seen.add(pid)), 20);

    const all = await answers;
    clearInterval(watching);

    assert.equal(seen.size, 1);
    for (const logprobs of all) logprobs.forEach((row, i) => assertGolden(row, rows[i]));
  });

  it('keeps both models of the pool in that one server', async () => {
    const [before] = local.servers();

    await local.score([[1, 2, 3]], 'twin');

    assert.deepEqual(local.servers(), [before]);
  });

  it('ends the idle server, and the next request is held and answered', async () => {
    const [first] = local.servers();
    await eventually(() => local.servers().length === 0, 'the server ends');
    const gone = !isAlive(first ?? 0);

    const [row] = await local.score([rows[0]?.input_ids ?? []]);

    assert.equal(gone, true);
    assertGolden(row, rows[0]);
  });

  it('prints a line per model that works when pasted', {
    skip: !hasCurl && 'no curl',
  }, async () => {
    assert.equal(local.commands.length, 2);
    for (const command of local.commands) {
      const { stdout } = await run('sh', ['-c', `${command} --silent --fail`]);
      assert.equal((JSON.parse(stdout) as { logprobs: unknown[][] }).logprobs[0]?.length, 6);
    }
  });

  it('answers a request whose server is killed while it waits for it', async () => {
    const answer = local.score([rows[0]?.input_ids ?? []]);
    await eventually(() => local.servers().length === 1);
    process.kill(local.servers()[0] ?? 0, 'SIGKILL');

    assertGolden((await answer)[0], rows[0]);
  });

  it('leaves no process and no folder behind when it is told to end', async () => {
    await local.score([[1, 2, 3]]);
    const pids = local.all();
    const before = local.leftovers().length;

    const code = await local.stop();

    assert.equal(code, 0);
    assert.ok(pids.length >= 2 && before === 1);
    await eventually(() => !pids.some(isAlive), 'every process ends');
    assert.deepEqual(local.leftovers(), []);
  });
});

describe('the example of the README', { skip: !isLinux && 'reads /proc' }, () => {
  it('prints a curl line that answers with the golden values', {
    skip: !hasCurl && 'no curl',
  }, async () => {
    const local = await Local.start(
      readFileSync(join(root, 'examples/tiny-python-llama.yaml'), 'utf8'),
    );
    const [command = ''] = local.commands;

    const { stdout } = await run('sh', ['-c', `${command} --silent --fail`]);

    const [row = []] = (JSON.parse(stdout) as { logprobs: (number | null)[][] }).logprobs;
    const [truth] = golden.rows;
    assert.ok(truth && row.length > 1, 'there are values to compare');
    const log_probs = truth.log_probs.slice(0, row.length - 1);
    assertGolden(row, { input_ids: truth.input_ids.slice(0, row.length), log_probs });
    await local.stop();
    local.remove();
  });
});

describe('the example of a reward model', { skip: !isLinux && 'reads /proc' }, () => {
  it('prints a curl line that answers, and answers the golden scores', {
    skip: !hasCurl && 'no curl',
  }, async () => {
    const truth = JSON.parse(
      readFileSync(join(models, 'tiny-python-reward/golden.json'), 'utf8'),
    ) as { rows: { input_ids: number[]; scores: number[] }[] };
    const local = await Local.start(
      readFileSync(join(root, 'examples/tiny-python-reward.yaml'), 'utf8'),
    );
    const [command = ''] = local.commands;
    const input_ids = truth.rows.map((row) => row.input_ids);

    const { stdout } = await run('sh', ['-c', `${command} --silent --fail`]);
    const response = await fetch(`${local.url}/default/tiny-python-reward/v1/rewards`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input_ids }),
    });

    assert.equal((JSON.parse(stdout) as { rewards: number[] }).rewards.length, 1);
    const { rewards } = (await response.json()) as { rewards: number[] };
    truth.rows.forEach(({ scores }, i) => {
      const off = Math.abs((rewards[i] ?? Number.NaN) - (scores[0] ?? Number.NaN));
      assert.ok(off <= 5e-4, `row ${i} is off by ${off}`);
    });
    await local.stop();
    local.remove();
  });
});

describe('refmodel local, ended in the middle', { skip: !isLinux && 'reads /proc' }, () => {
  it('finishes the request that it holds', async () => {
    const local = await Local.start(manifest('tiny', '1m'));
    const answer = local.score([[1, 2, 3]]);
    await eventually(() => local.servers().length === 1);

    const code = await local.stop('SIGINT');

    assert.equal((await answer)[0]?.length, 3);
    assert.equal(code, 0);
    local.remove();
  });

  it('takes its servers along even when it is killed', async () => {
    const local = await Local.start(manifest('tiny', '1m'));
    await local.score([[1, 2, 3]]);
    const pids = local.all();

    await local.stop('SIGKILL');

    await eventually(() => !pids.some(isAlive), 'every process ends');
    local.remove();
  });
});

function assertGolden(row: (number | null)[] | undefined, want: GoldenRow | undefined): void {
  assert.ok(row && want);
  assert.equal(row[0], null);
  want.log_probs.forEach((value, i) => {
    const got = row[i + 1] ?? Number.NaN;
    assert.ok(Math.abs(got - value) <= 5e-5, `token ${i + 1}: ${got} instead of ${value}`);
  });
}
