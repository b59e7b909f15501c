import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { parquetWriteFile } from 'hyparquet-writer';
import { type OutputRow, parquetRows, writeParquet } from '../../../../server/offline/parquet.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

async function values(input: string, skip: number, columns: string[]) {
  const rows: unknown[] = [];
  for await (const { line, value, share } of parquetRows(input, { skip, columns })) {
    rows.push([line, value, share]);
  }
  return rows;
}

describe('parquetRows', () => {
  it('reads the rows of all row groups from one on: int64 as numbers, null as nothing, only columns that are wanted', async () => {
    using folder = temporaryFolder();
    const filename = path.join(folder.path, 'a.parquet');
    parquetWriteFile({
      filename,
      columnData: [
        { name: 'prompt_length', data: [1n, 2n, null, 4n], type: 'INT64' },
        { name: 'text', data: ['a', 'b', 'c', 'd'] },
        { name: 'secret', data: ['x', 'x', 'x', 'x'] },
      ],
      rowGroupSize: 3,
    });

    assert.deepEqual(await values(filename, 1, ['prompt_length', 'text', 'none']), [
      [1, { prompt_length: 2, text: 'b' }, 0.5],
      [2, { text: 'c' }, 0.75],
      [3, { prompt_length: 4, text: 'd' }, 1],
    ]);
    assert.deepEqual(await values(filename, 4, ['text']), []);
  });

  it('reads what another program wrote, with lists and messages, in each of its codings', async () => {
    for (const coding of ['snappy', 'zstd', 'gzip', 'brotli', 'none']) {
      const rows = await values(`test/datasets/messages-${coding}.parquet`, 0, [
        'prompt',
        'chosen',
        'input_ids',
      ]);

      assert.deepEqual(rows[0], [
        0,
        {
          prompt: [{ role: 'user', content: 'Say hé' }],
          chosen: [{ role: 'assistant', content: 'hé' }],
          input_ids: [1, 2, 3],
        },
        0.2,
      ]);
      assert.equal(rows.length, 5, coding);
    }
  });

  it('refuses what is no parquet', async () => {
    using folder = temporaryFolder();
    const input = path.join(folder.path, 'a.parquet');
    writeFileSync(input, 'no parquet at all');

    await assert.rejects(values(input, 0, []), { code: 'INVALID_REQUEST' });
  });
});

describe('writeParquet', () => {
  it('writes numbers and lists of float32, a row group at a time, null where a row has nothing', async () => {
    using folder = temporaryFolder();
    const output = path.join(folder.path, 'a.parquet');
    const rows: OutputRow[] = [
      { line: 0, logprobs: [null, -0.5, -1.25], sum: -1.75 },
      { line: 1, logprobs: [], sum: 0 },
      { line: 2, reward: 0.1 },
    ];
    const long = Array.from({ length: 1 << 20 }, () => -1);

    await writeParquet(
      output,
      async function* () {
        yield { line: 9, logprobs: long, sum: -long.length };
        yield* rows;
      },
      { refmodel: 'x' },
    );

    const file = await asyncBufferFromFile(output);
    const metadata = await parquetMetadataAsync(file);
    const read = await parquetReadObjects({ file });
    assert.equal(metadata.row_groups.length, 2);
    assert.deepEqual(metadata.key_value_metadata, [{ key: 'refmodel', value: 'x' }]);
    assert.equal(read[0]?.['logprobs'].length, long.length);
    assert.deepEqual(read.slice(1), [
      { line: 0n, logprobs: [null, -0.5, -1.25], sum: -1.75, reward: null },
      { line: 1n, logprobs: [], sum: 0, reward: null },
      { line: 2n, logprobs: undefined, sum: null, reward: 0.1 },
    ]);
  });
});
