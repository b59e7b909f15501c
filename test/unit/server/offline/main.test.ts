import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { main } from '../../../../server/offline/main.ts';
import { goldenRows } from '../../../support/engine-kit.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const volume = ['--volume', 'models=examples/models'];
const language = ['--model', 'examples/tiny-python-llama.yaml', ...volume];
const judge = ['--model', 'examples/tiny-python-reward.yaml', ...volume];

const files = (folder: string, ...names: string[]) => names.map((name) => path.join(folder, name));

describe('refmodel score', () => {
  it('refuses an output that is there, before it starts anything', async () => {
    using folder = temporaryFolder();
    const [output = ''] = files(folder.path, 'out.jsonl');
    writeFileSync(output, '');

    await assert.rejects(main({}, [...language, '--input', output, '--output', output]), {
      code: 'CONFIGURATION_INVALID',
    });
  });

  it('serves manifests on this machine meanwhile', async () => {
    using folder = temporaryFolder();
    const [row] = goldenRows('examples/models/tiny-python-llama');
    const [input = '', output = ''] = files(folder.path, 'in.jsonl', 'out.jsonl');
    writeFileSync(input, `${JSON.stringify({ input_ids: row?.input_ids })}\n`);

    await main({}, [...language, '--input', input, '--output', output]);

    const { logprobs } = JSON.parse(readFileSync(output, 'utf8'));
    assert.equal(logprobs[0], null);
    for (const [i, want] of (row?.log_probs ?? []).entries()) {
      assert.ok(Math.abs(logprobs[i + 1] - want) < 5e-5, `token ${i + 1}: ${logprobs[i + 1]}`);
    }
  });

  it('gives the rewards of a data set in parquet as parquet', async () => {
    using folder = temporaryFolder();
    const [output = ''] = files(folder.path, 'out.parquet');

    await main({}, [...judge, '--input', 'test/datasets/preferences.parquet', '--output', output]);

    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(output) });
    assert.deepEqual(
      rows.map(({ line }) => line),
      [0n, 1n, 2n, 3n],
    );
    const rewards = rows.flatMap((row) => [row['chosen_reward'], row['rejected_reward']]);
    assert.ok(rewards.every(Number.isFinite));
    assert.equal(new Set(rewards).size, 8);
  });
});
