import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type LogProbHead, logProbHead } from '../../../../../server/onnx/blocks/head.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import {
  array,
  floats,
  integers,
  largestDifference,
  longs,
  multiply,
  noise,
  runGraph,
  scopeOf,
  weightsOf,
} from '../../../../support/run-graph.ts';

const [n, h, V] = [4, 6, 9];
const hidden = noise(n * h, 1);
const weight = noise(V * h, 2);
const bias = noise(V, 3);
const plainHead: LogProbHead = { projection: { name: 'lm_head', rows: V, columns: h } };

/** Log-probabilities of row `at`, in float64. */
function distribution(at: number, { scale = 1, softcap, projection }: LogProbHead): number[] {
  const row = hidden.subarray(at * h, (at + 1) * h);
  const logits = multiply(row, weight, h).map((logit, v) => {
    const scaled = scale * (logit + (projection.hasBias ? bias[v]! : 0));
    return softcap === undefined ? scaled : softcap * Math.tanh(scaled / softcap);
  });
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - total);
}

interface Asked {
  scored: number[][];
  targets: number[][];
  topK?: number;
}

function run({ scored, targets, topK = 0 }: Asked, head = plainHead) {
  const tape = Tape.start('/model');
  const x = tape.input({ name: 'x', type: 'float32', shape: ['n', h] });
  const weights = weightsOf({
    'lm_head.weight': array([V, h], weight),
    'lm_head.bias': array([V], bias),
    'embedding.weight': array([V, h], weight),
  });
  logProbHead(scopeOf(tape, weights), x, head);
  const shape = [scored.length, scored[0]!.length];
  return runGraph(tape.finish(), {
    x: floats([n, h], hidden),
    scored: integers(shape, scored.flat()),
    targets: integers(shape, targets.flat()),
    top_k: longs([1], [topK]),
  });
}

const two = {
  scored: [
    [0, 3, 1],
    [2, 2, 0],
  ],
  targets: [
    [8, 0, 4],
    [1, 7, 0],
  ],
};
const logprobsOf = ({ scored, targets }: Asked, head: LogProbHead): number[] =>
  scored.flat().map((at, i) => distribution(at, head)[targets.flat()[i]!]!);

describe('logProbHead', () => {
  it('gives the log-probability of each target where it is asked, over several chunks', async () => {
    const { logprobs } = await run(two);

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
      const { logprobs } = await run(two, head);

      assert.ok(largestDifference(logprobsOf(two, head), logprobs!.data) < 1e-6, 'differs');
    });
  }

  it('leaves ranks and tops empty when none are asked', async () => {
    const outputs = await run({ scored: [[0, 1]], targets: [[0, 0]] });

    const { ranks, top_ids: ids, top_logprobs: tops } = outputs;
    assert.deepEqual([ranks?.data, ids?.data, tops?.data], [[], [], []]);
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

    const outputs = await run({ scored, targets, topK: 3 });

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

  it('may ask for the whole vocabulary', async () => {
    const { top_logprobs: tops } = await run({ scored: [[1]], targets: [[0]], topK: V });

    const mass = tops!.data.reduce((sum, logprob) => sum + Math.exp(logprob), 0);
    assert.ok(Math.abs(mass - 1) < 1e-6, `the probabilities sum up to ${mass}`);
  });
});
