import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Batch, pack } from '../../../../../server/model/batch/pack.ts';
import { type Scores, unpack } from '../../../../../server/model/batch/unpack.ts';
import type { ScoredRow } from '../../../../../server/model/scoring.ts';
import { scoreRow, vocabularySize } from '../../../../support/bigram-model.ts';
import { scoreAll } from '../../../../support/engine-kit.ts';
import { scoreRows } from '../../../../support/score-rows.ts';

const options = { vocabularySize, maxChunkRows: 4 };

/** What a graph of the bigram model gives for `batch`. */
function bigramScores(batch: Batch): Scores {
  const { tokens, targets, temperatures, candidates, candidateWidth: width, topK } = batch;
  const rows = Array.from(batch.scored, (at, i) =>
    scoreRow({
      tokens: Int32Array.of(tokens[at]!, targets[i]!),
      positions: Int32Array.of(1),
      temperature: temperatures[i]!,
      topK,
      candidates: { ids: candidates.subarray(i * width, (i + 1) * width), width },
      wantsRanks: batch.wantsRanks,
      wantsEntropies: batch.wantsEntropies,
      wantsNormalizers: true,
    }),
  );
  const exposed = Array.from(batch.exposed, (at) => {
    const ids = Int32Array.of(tokens[at]!, 0);
    return scoreRow({ tokens: ids, positions: Int32Array.of(1), wantsHidden: true });
  });
  const floats = (name: Exclude<keyof Scores, 'ranks' | 'topIds'>, from: ScoredRow[] = rows) =>
    Float32Array.from(from.flatMap((row) => [...row[name]]));
  return {
    logprobs: floats('logprobs'),
    ranks: Int32Array.from(rows.flatMap((row) => [...row.ranks])),
    topIds: Int32Array.from(rows.flatMap((row) => [...row.topIds])),
    topLogprobs: floats('topLogprobs'),
    candidateLogprobs: floats('candidateLogprobs'),
    entropies: floats('entropies'),
    normalizers: floats('normalizers'),
    hidden: floats('hidden', exposed),
  };
}

describe('unpack', () => {
  it('gives each row what it would have got alone', () => {
    fc.assert(
      fc.property(scoreRows, (rows) => {
        const batch = pack(rows, options);
        if (!batch) return;

        const scored = unpack(rows, bigramScores(batch), { ...batch, vocabularySize });

        assert.deepEqual(scored, rows.map(scoreRow));
      }),
    );
  });

  it('gives rows without scored positions nothing', () => {
    const rows = [scoreAll([1, 2]), scoreAll([5])];
    const batch = pack(rows, options)!;

    const [, row] = unpack(rows, bigramScores(batch), { ...batch, vocabularySize });

    assert.equal(row?.logprobs.length, 0);
  });
});
