import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { parquetWriteFile } from 'hyparquet-writer';
import { columnNames } from '../../../../server/offline/items.ts';
import type { DataRecord } from '../../../../server/offline/record.ts';
import { readRecords } from '../../../../server/offline/records.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

async function all(input: string, skip = 0): Promise<DataRecord[]> {
  const records: DataRecord[] = [];
  for await (const record of readRecords(input, { skip, columns: columnNames })) {
    records.push(record);
  }
  return records;
}

describe('readRecords', () => {
  it('reads lines of JSON from one on, and says how far each is', async () => {
    using folder = temporaryFolder();
    const input = path.join(folder.path, 'a.jsonl');
    writeFileSync(input, '{"text":"a"}\n{"text":"b"}');

    assert.deepEqual(await all(input), [
      { line: 0, value: { text: 'a' }, share: 0.52 },
      { line: 1, value: { text: 'b' }, share: 1 },
    ]);
    assert.deepEqual(
      (await all(input, 1)).map(({ line }) => line),
      [1],
    );
  });

  it('names the line that is no JSON', async () => {
    using folder = temporaryFolder();
    const input = path.join(folder.path, 'a.jsonl');
    writeFileSync(input, '{"text":"a"}\n{\n');

    await assert.rejects(all(input), { code: 'INVALID_REQUEST', message: /line 2/ });
  });

  it('reads rows of parquet, by its ending', async () => {
    using folder = temporaryFolder();
    const filename = path.join(folder.path, 'a.parquet');
    parquetWriteFile({ filename, columnData: [{ name: 'text', data: ['a', 'b'] }] });

    assert.deepEqual(await all(filename, 1), [{ line: 1, value: { text: 'b' }, share: 1 }]);
  });
});
