import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { Item } from '../../../../server/offline/items.ts';
import { scoreFile } from '../../../../server/offline/run.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const signal = new AbortController().signal;
const lines = (count: number) =>
  Array.from(
    { length: count },
    (_, i) => `${JSON.stringify({ input_ids: Array(i + 1).fill(i) })}\n`,
  );

function kit(folder: string) {
  const seen: number[][] = [];
  const options = {
    input: path.join(folder, 'in.jsonl'),
    output: path.join(folder, 'out.jsonl'),
    batchTokens: 6,
    concurrency: 3,
    score: async (items: readonly Item[]) => {
      seen.push(items.map(({ line }) => line));
      return items.map(({ rows }) =>
        rows.map(({ ids }) => ({ logprobs: [null], sum: ids.length })),
      );
    },
    onProgress: () => {},
  };
  writeFileSync(options.input, lines(6).join(''));
  return { options, seen };
}

const sumsOf = (file: string) =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text).sum);

describe('scoreFile', () => {
  it('scores all lines in order, in batches of so many tokens', async () => {
    using folder = temporaryFolder();
    const { options, seen } = kit(folder.path);

    const done = await scoreFile(options, signal);

    assert.deepEqual(seen, [[0, 1, 2], [3], [4], [5]]);
    assert.deepEqual(sumsOf(options.output), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(done, { lines: 6, bytes: readFileSync(options.input).length });
  });

  it('goes on where it was ended, also within a line', async () => {
    using folder = temporaryFolder();
    const { options, seen } = kit(folder.path);
    await scoreFile(options, signal);
    const whole = readFileSync(options.output, 'utf8');
    writeFileSync(options.output, whole.slice(0, whole.indexOf('\n', 60) + 5));
    seen.length = 0;

    await scoreFile(options, signal);

    assert.equal(readFileSync(options.output, 'utf8'), whole);
    assert.ok(!seen.flat().includes(0), 'what was done is not done again');
  });

  it('fails with what its service fails with, and keeps what is done', async () => {
    using folder = temporaryFolder();
    const { options } = kit(folder.path);
    const score = async (items: readonly Item[]) => {
      if (items[0]?.line === 4) throw new Error('no');
      return options.score(items);
    };

    await assert.rejects(scoreFile({ ...options, score, concurrency: 1 }, signal), /no/);

    assert.deepEqual(sumsOf(options.output), [1, 2, 3, 4]);
  });
});
