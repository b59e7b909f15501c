import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { Item } from '../../../../server/offline/items.ts';
import { partOf } from '../../../../server/offline/journal.ts';
import { type Progress, scoreFile } from '../../../../server/offline/run.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const { signal } = new AbortController();
const model = { revision: 'r', digest: 'd', quantization: 'None' };
const lines = (count: number) =>
  Array.from(
    { length: count },
    (_, i) => `${JSON.stringify({ input_ids: Array(i + 1).fill(i) })}\n`,
  );

function kit(folder: string) {
  const seen: number[][] = [];
  const shown: Progress[] = [];
  const service = {
    score: async (items: readonly Item[], _signal: AbortSignal) => {
      seen.push(items.map(({ line }) => line));
      const scores = items.map(({ rows }) =>
        rows.map(({ ids }) => ({ logprobs: [null], sum: ids.length })),
      );
      return { scores, model };
    },
    tokenize: async () => [1],
    eos: async () => '',
    task: async () => 'logprobs' as const,
  };
  const options = {
    input: path.join(folder, 'in.jsonl'),
    output: path.join(folder, 'out.jsonl'),
    settings: {},
    batchTokens: 6,
    concurrency: 3,
    service,
    onProgress: (progress: Progress) => void shown.push(progress),
  };
  writeFileSync(options.input, lines(6).join(''));
  return { options, seen, shown };
}

const sumsOf = (file: string) =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .flatMap((text) => JSON.parse(text).sum ?? []);

/** Fails at line 4, and says whether the others were told. */
function failing({ options }: ReturnType<typeof kit>) {
  const signals: AbortSignal[] = [];
  const score = async (items: readonly Item[], signal: AbortSignal) => {
    signals.push(signal);
    if (items[0]?.line === 4) throw new Error('no');
    return options.service.score(items, signal);
  };
  return { signals, options: { ...options, service: { ...options.service, score } } };
}

describe('scoreFile', () => {
  it('scores all records in order, in batches of so many tokens', async () => {
    using folder = temporaryFolder();
    const { options, seen, shown } = kit(folder.path);

    const done = await scoreFile(options, signal);

    assert.deepEqual(seen, [[0, 1, 2], [3], [4], [5]]);
    assert.deepEqual(sumsOf(options.output), [1, 2, 3, 4, 5, 6]);
    assert.equal(done, 6);
    assert.deepEqual(shown.at(-1), { lines: 6, share: 1 });
  });

  it('fails with what its service fails with, ends the others, and keeps what is done', async () => {
    using folder = temporaryFolder();
    const { options, signals } = failing(kit(folder.path));

    await assert.rejects(scoreFile({ ...options, concurrency: 1 }, signal), /no/);

    assert.deepEqual(sumsOf(partOf(options.output)), [1, 2, 3, 4]);
    assert.ok(signals.every(({ aborted }) => aborted));
  });

  it('goes on where it was ended', async () => {
    using folder = temporaryFolder();
    const whole = kit(folder.path);
    await assert.rejects(scoreFile(failing(whole).options, signal), /no/);
    whole.seen.length = 0;

    await scoreFile(whole.options, signal);

    assert.deepEqual(sumsOf(whole.options.output), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(whole.seen, [[4], [5]]);
  });

  it('ends with the reason of its signal', async () => {
    using folder = temporaryFolder();
    const { options } = kit(folder.path);
    const ending = new AbortController();
    const onProgress = () => ending.abort(new RangeError('ended'));

    await assert.rejects(scoreFile({ ...options, onProgress }, ending.signal), /ended/);
  });
});
