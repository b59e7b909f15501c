import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readAsks, wantedOutputs } from '../../../../../server/api/native/asks.ts';
import type { LogprobsRequest } from '../../../../../server/api/native/request.ts';
import { readSequences } from '../../../../../server/api/native/sequences.ts';

const ask = (body: LogprobsRequest) => readAsks(body, readSequences(body));

describe('readAsks', () => {
  it('asks nothing but log-probs by default', () => {
    const [first] = ask({ input_ids: [[1, 2, 3]] });

    assert.deepEqual([...first!.asked.positions], [1, 2]);
    assert.equal(first!.asked.topK, 0);
    assert.equal(first!.asked.candidates, undefined);
  });

  it('takes candidates where positions are scored, padded to the longest list', () => {
    const candidate_ids = [[[99], [4, 5], [-1], null]];

    const [first] = ask({ input_ids: [[1, 2, 3, 4]], candidate_ids, score_mask: [[0, 1, 0, 1]] });

    assert.deepEqual(first!.asked.candidates, { ids: Int32Array.of(4, 5, -1, -1), width: 2 });
  });

  it('aligns candidates as the answer is', () => {
    const ids = [Int32Array.of(1, 2, 3)];

    const [source] = ask({ input_ids: ids, align: 'source', candidate_ids: [[[7], [8]]] });
    const [response] = ask({
      input_ids: ids,
      align: 'response',
      prompt_lengths: [2],
      candidate_ids: [[[8]]],
    });

    assert.deepEqual([...source!.asked.candidates!.ids], [7, 8]);
    assert.deepEqual([...response!.asked.candidates!.ids], [8]);
  });

  it('refuses candidates that no vocabulary has', () => {
    const body = { input_ids: [[1, 2]], candidate_ids: [[[], [2 ** 31]]] };

    assert.throws(() => ask(body), { code: 'TOKEN_OUT_OF_RANGE', message: /\[0\]\[1\]\[0\]/ });
  });
});

describe('wantedOutputs', () => {
  it('has tops and candidates where they are asked', () => {
    assert.deepEqual([...wantedOutputs({})], ['logprobs']);
    assert.deepEqual(
      [...wantedOutputs({ top_k: 2, candidate_ids: [] })],
      ['logprobs', 'topk', 'candidates'],
    );
    assert.deepEqual([...wantedOutputs({ outputs: ['sums'] })], ['sums']);
  });
});
