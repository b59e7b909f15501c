import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { scoredHead } from '../../../../../server/onnx/blocks/head.ts';
import { float32Tensor } from '../../../../../server/onnx/graph.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import {
  floats,
  integers,
  largestDifference,
  noise,
  runGraph,
} from '../../../../support/run-graph.ts';

const [n, h, V] = [4, 6, 9];
const hidden = noise(n * h, 1);
const weight = noise(V * h, 2);

/** Log-probabilities of row `at`, in float64. */
function distribution(at: number): number[] {
  const logits = Array.from({ length: V }, (_, v) => {
    let sum = 0;
    for (let i = 0; i < h; i++) sum += hidden[at * h + i]! * weight[v * h + i]!;
    return sum;
  });
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - total);
}

function run(positions: number[][], targets: number[][], topK: number) {
  const tape = Tape.start('/model');
  const x = tape.input({ name: 'x', type: 'float32', shape: ['n', h] });
  const tensor = float32Tensor(weight, [V, h]);
  scoredHead(tape, x, { name: 'lm_head.weight', weight: { format: 'Float', tensor } });
  const shape = [positions.length, positions[0]!.length];
  return runGraph(tape.finish(), {
    x: floats([n, h], hidden),
    positions: integers(shape, positions.flat()),
    targets: integers(shape, targets.flat()),
    top_k: { shape: [1], data: BigInt64Array.of(BigInt(topK)) },
  });
}

describe('scoredHead', () => {
  it('gives the log-probability of each target at its position, over several chunks', async () => {
    const positions = [
      [0, 3, 1],
      [2, 2, 0],
    ];
    const targets = [
      [8, 0, 4],
      [1, 7, 0],
    ];

    const { logprobs } = await run(positions, targets, 0);

    const expected = positions.flat().map((at, i) => distribution(at)[targets.flat()[i]!]!);
    assert.ok(logprobs);
    assert.deepEqual(logprobs.dims, [2, 3]);
    assert.ok(largestDifference(logprobs.data, expected) < 1e-6);
  });

  it('leaves ranks and tops empty when none are asked', async () => {
    const { ranks, top_ids: ids, top_logprobs: tops } = await run([[0, 1]], [[0, 0]], 0);

    assert.deepEqual([ranks?.data, ids?.data, tops?.data], [[], [], []]);
  });

  it('gives ranks and the most likely tokens, most likely first', async () => {
    const targets = [
      [0, 1],
      [2, 3],
    ];

    const {
      ranks,
      top_ids: ids,
      top_logprobs: tops,
    } = await run(
      [
        [0, 1],
        [2, 3],
      ],
      targets,
      3,
    );

    for (let at = 0; at < n; at++) {
      const all = distribution(at).map((logprob, id) => ({ logprob, id }));
      const sorted = [...all].sort((a, b) => b.logprob - a.logprob);
      assert.equal(ranks?.data[at], 1 + sorted.findIndex(({ id }) => id === targets.flat()[at]));
      assert.deepEqual(
        ids?.data.slice(at * 3, at * 3 + 3),
        sorted.slice(0, 3).map(({ id }) => id),
      );
      const expected = sorted.slice(0, 3).map(({ logprob }) => logprob);
      assert.ok(largestDifference(tops!.data.slice(at * 3, at * 3 + 3), expected) < 1e-6);
    }
  });

  it('may ask for the whole vocabulary', async () => {
    const { top_logprobs: tops } = await run([[1]], [[0]], V);

    const mass = tops!.data.reduce((sum, logprob) => sum + Math.exp(logprob), 0);
    assert.ok(Math.abs(mass - 1) < 1e-6);
  });
});
