import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogProbHead } from '../../../../../server/onnx/blocks/head.ts';
import { largestDifference } from '../../../../support/run-graph.ts';
import { h, hidden, logprobsOf, plainHead, runHead, two } from '../../../../support/tiny-head.ts';

describe('logProbHead', () => {
  it('gives the log-probability of each target where it is asked, over several chunks', async () => {
    const { logprobs } = await runHead(two);

    assert.deepEqual(logprobs!.dims, [2, 3]);
    assert.ok(largestDifference(logprobsOf(two, plainHead), logprobs!.data) < 1e-6, 'differs');
  });

  const { projection } = plainHead;
  const heads: readonly { what: string; head: LogProbHead }[] = [
    { what: 'a scale', head: { projection, scale: 1 / 3 } },
    { what: 'a soft cap', head: { projection, softcap: 0.5 } },
    { what: 'a scale before a soft cap', head: { projection, scale: 4, softcap: 2 } },
    { what: 'a bias', head: { projection: { ...projection, hasBias: true }, scale: 2 } },
    {
      what: 'the weight of the embedding',
      head: { projection: { ...projection, tiedTo: 'embedding.weight' } },
    },
  ];
  for (const { what, head } of heads) {
    it(`may have ${what}`, async () => {
      const { logprobs } = await runHead(two, head);

      assert.ok(largestDifference(logprobsOf(two, head), logprobs!.data) < 1e-6, 'differs');
    });
  }

  it('gives hidden rows as they enter it, where they are asked', async () => {
    const { hidden_rows: rows } = await runHead({ ...two, exposed: [3, 1] });

    assert.deepEqual(rows?.data, [...hidden.subarray(3 * h, 4 * h), ...hidden.subarray(h, 2 * h)]);
  });
});
