import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { Journal, partOf } from '../../../../server/offline/journal.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const settings = { temperature: 1, task: 'logprobs' };
const model = { revision: 'r', digest: 'd', quantization: 'None' };
const lines = ['{"line":0,"sum":-1}\n', '{"line":1,"sum":-2}\n'];

describe('a journal', () => {
  it('becomes the output when it is finished, not before', async () => {
    using folder = temporaryFolder();
    const output = path.join(folder.path, 'out.jsonl');
    await using journal = await Journal.open(output, settings);

    await journal.append(lines, model);
    assert.equal(existsSync(output), false);
    await journal.finish();

    assert.equal(readFileSync(output, 'utf8'), lines.join(''));
    assert.equal(existsSync(partOf(output)), false);
    await assert.rejects(Journal.open(output, settings), { code: 'CONFIGURATION_INVALID' });
  });

  it('becomes parquet by the name of its output', async () => {
    using folder = temporaryFolder();
    const output = path.join(folder.path, 'out.parquet');
    await using journal = await Journal.open(output, settings);
    await journal.append(lines, model);

    await journal.finish();

    assert.deepEqual(await parquetReadObjects({ file: await asyncBufferFromFile(output) }), [
      { line: 0n, sum: -1 },
      { line: 1n, sum: -2 },
    ]);
  });

  it('of no records is an output without any', async () => {
    using folder = temporaryFolder();
    for (const name of ['out.jsonl', 'out.parquet']) {
      const output = path.join(folder.path, name);
      await using journal = await Journal.open(output, settings);

      await journal.finish();

      assert.equal(existsSync(output), true);
    }
  });

  it('goes on after whole lines, with the same settings and weights only', async () => {
    using folder = temporaryFolder();
    const output = path.join(folder.path, 'out.jsonl');
    {
      await using journal = await Journal.open(output, settings);
      await journal.append(lines, model);
    }
    const whole = readFileSync(partOf(output), 'utf8');
    writeFileSync(partOf(output), whole.slice(0, -3));

    await assert.rejects(Journal.open(output, { ...settings, temperature: 2 }), {
      code: 'CONFIGURATION_INVALID',
    });
    await using journal = await Journal.open(output, settings);
    assert.equal(journal.lines, 1);
    const other = { ...model, digest: 'other' };
    await assert.rejects(journal.append(lines, other), { code: 'REVISION_MISMATCH' });
    await journal.append(lines.slice(1), model);

    assert.equal(readFileSync(partOf(output), 'utf8'), whole);
  });

  it('refuses a file that is none', async () => {
    using folder = temporaryFolder();
    const output = path.join(folder.path, 'out.jsonl');
    writeFileSync(partOf(output), '{"line":0}\n');

    await assert.rejects(Journal.open(output, settings), { code: 'CONFIGURATION_INVALID' });
  });
});
