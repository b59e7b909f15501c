// What more than log-probabilities may be asked, against values computed in float64 by another implementation.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { ScoredRow, ScoreRow } from '../../server/model/scoring.ts';
import { exampleRoot, goldenRoot, scoreAll, withSession } from '../support/engine-kit.ts';
import { largestDifference } from '../support/run-graph.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

interface Truth {
  input_ids: number[];
  temperature: number;
  logprobs: number[];
  ranks: number[];
  entropies: number[];
  normalizers: number[];
  top_ids: number[];
  top_logprobs: number[];
  candidate_ids: number[];
  candidate_logprobs: number[];
  last_hidden: number[];
}

const root = path.resolve(import.meta.dirname, '../distributions');
const names = readdirSync(root).flatMap((file) => /^(.*)\.json$/.exec(file)?.[1] ?? []);

const everything = (truth: Truth, width: number, topK: number): ScoreRow =>
  scoreAll(truth.input_ids, {
    temperature: truth.temperature,
    topK,
    candidates: { ids: Int32Array.from(truth.candidate_ids), width },
    wantsRanks: true,
    wantsEntropies: true,
    wantsNormalizers: true,
    wantsHidden: true,
  });

function assertEqual(found: ScoredRow, truth: Truth): void {
  assert.deepEqual([...found.ranks], truth.ranks);
  assert.deepEqual([...found.topIds], truth.top_ids);
  const hidden = found.hidden.subarray(-truth.last_hidden.length);
  for (const [name, values, want] of [
    ['logprobs', found.logprobs, truth.logprobs],
    ['tops', found.topLogprobs, truth.top_logprobs],
    ['candidates', found.candidateLogprobs, truth.candidate_logprobs],
    ['entropies', found.entropies, truth.entropies],
    ['normalizers', found.normalizers, truth.normalizers],
    ['hidden', hidden, truth.last_hidden],
  ] as const) {
    assert.equal(values.length, want.length, name);
    const difference = largestDifference(values, want);
    assert.ok(difference < 5e-5, `${name} differ by ${difference}`);
  }
}

describe('distributions', () => {
  for (const name of names) {
    it(`${name}: tops, candidates, ranks, entropies, normalizers and hidden rows equal the truth at every temperature`, async () => {
      const file = JSON.parse(readFileSync(path.join(root, `${name}.json`), 'utf8'));
      const truth: Truth[] = file.rows;
      const volume = { root: name === 'tiny-python-llama' ? exampleRoot : goldenRoot, path: name };
      using cache = temporaryFolder();

      await withSession(cache.path, { source: { volume } }, async (session) => {
        const rows = truth.map((row) => everything(row, file.width, file.top_k));
        const scored = await session.score(rows);

        for (const [r, row] of truth.entries()) assertEqual(scored[r]!, row);
      });
    });
  }

  it('has the same bits for log-probabilities whatever else is asked', async () => {
    const { rows: truth, width } = JSON.parse(
      readFileSync(path.join(root, 'tiny-python-llama.json'), 'utf8'),
    );
    const ids = truth[0].input_ids;
    const volume = { root: exampleRoot, path: 'tiny-python-llama' };
    using cache = temporaryFolder();

    await withSession(cache.path, { source: { volume } }, async (session) => {
      const [plain] = await session.score([scoreAll(ids)]);
      const [all] = await session.score([everything(truth[0], width, 7)]);

      assert.deepEqual(all!.logprobs, plain!.logprobs);
    });
  });
});
