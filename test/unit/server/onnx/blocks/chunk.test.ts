import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { largestDifference, multiply } from '../../../../support/run-graph.ts';
import {
  distribution,
  h,
  hidden,
  n,
  plainHead,
  runHead,
  two,
  V,
  weight,
} from '../../../../support/tiny-head.ts';

describe('scoreChunk', () => {
  it('leaves empty what is not asked', async () => {
    const outputs = await runHead({ scored: [[0, 1]], targets: [[0, 0]] });

    for (const name of [
      'ranks',
      'top_ids',
      'top_logprobs',
      'candidate_logprobs',
      'entropies',
      'hidden_rows',
    ]) {
      assert.deepEqual(outputs[name]?.data, [], name);
    }
  });

  it('gives ranks and the most likely tokens, most likely first', async () => {
    const scored = [
      [0, 1],
      [2, 3],
    ];
    const targets = [
      [0, 1],
      [2, 3],
    ];

    const outputs = await runHead({ scored, targets, topK: 3, wantsRanks: true });

    const { ranks, top_ids: ids, top_logprobs: tops } = outputs;
    for (let at = 0; at < n; at++) {
      const all = distribution(at, plainHead).map((logprob, id) => ({ logprob, id }));
      const sorted = [...all].sort((a, b) => b.logprob - a.logprob);
      assert.equal(ranks?.data[at], 1 + sorted.findIndex(({ id }) => id === targets.flat()[at]));
      assert.deepEqual(
        ids?.data.slice(at * 3, at * 3 + 3),
        sorted.slice(0, 3).map(({ id }) => id),
      );
      const expected = sorted.slice(0, 3).map(({ logprob }) => logprob);
      const found = tops!.data.slice(at * 3, at * 3 + 3);
      assert.ok(largestDifference(expected, found) < 1e-6, 'log-probabilities differ');
    }
  });

  const candidates = two.scored.map((chunk) => chunk.map((_, i) => [i, 8 - i]));

  it('gives candidates, normalizers and entropies where they are asked', async () => {
    const outputs = await runHead({ ...two, candidates, wantsEntropies: true });

    const at = two.scored.flat();
    const want = at.flatMap((row, i) =>
      candidates.flat()[i]!.map((id) => distribution(row, plainHead)[id]!),
    );
    const entropies = at.map(
      (row) => -distribution(row, plainHead).reduce((sum, p) => sum + Math.exp(p) * p, 0),
    );
    const normalizers = at.map((row, i) => {
      const target = two.targets.flat()[i]!;
      const column = weight.subarray(target * h, (target + 1) * h);
      const [logit] = multiply(hidden.subarray(row * h, (row + 1) * h), column, h);
      return logit! - distribution(row, plainHead)[target]!;
    });
    assert.ok(largestDifference(want, outputs['candidate_logprobs']!.data) < 1e-6, 'candidates');
    assert.ok(largestDifference(entropies, outputs['entropies']!.data) < 1e-6, 'entropies');
    assert.ok(largestDifference(normalizers, outputs['normalizers']!.data) < 1e-6, 'normalizers');
  });

  it('divides the logits of each row by its temperature', async () => {
    const temperatures = [
      [0.5, 1, 2],
      [1, 0.7, 3],
    ];

    const { logprobs } = await runHead({ ...two, temperatures });

    const want = two.scored.flat().map((at, i) => {
      const scale = 1 / temperatures.flat()[i]!;
      return distribution(at, { ...plainHead, scale })[two.targets.flat()[i]!]!;
    });
    assert.ok(largestDifference(want, logprobs!.data) < 1e-6, 'differs');
  });

  it('gives the same bits whatever else is asked, and for a temperature of 1', async () => {
    const { logprobs } = await runHead(two);
    const plain = two.scored.map((chunk) => chunk.map(() => 1));

    const all = await runHead({
      ...two,
      candidates,
      temperatures: plain,
      topK: 4,
      wantsRanks: true,
      wantsEntropies: true,
      exposed: [0],
    });

    assert.deepEqual(all['logprobs']!.data, logprobs!.data);
  });

  it('may ask for the whole vocabulary', async () => {
    const { top_logprobs: tops } = await runHead({ scored: [[1]], targets: [[0]], topK: V });

    const mass = tops!.data.reduce((sum, logprob) => sum + Math.exp(logprob), 0);
    assert.ok(Math.abs(mass - 1) < 1e-6, `the probabilities sum up to ${mass}`);
  });
});
