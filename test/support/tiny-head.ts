// A head small enough to compute by hand, and what it is asked.
import { headInputs, type LogProbHead, logProbHead } from '../../server/onnx/blocks/head.ts';
import { Tape } from '../../server/onnx/tape.ts';
import {
  type Array2,
  array,
  flag,
  floats,
  integers,
  longs,
  multiply,
  noise,
  runGraph,
  scopeOf,
  weightsOf,
} from './run-graph.ts';

export const [n, h, V] = [4, 6, 9];
export const hidden = noise(n * h, 1);
export const weight = noise(V * h, 2);
const bias = noise(V, 3);
export const plainHead: LogProbHead = { projection: { name: 'lm_head', rows: V, columns: h } };

/** Log-probabilities of row `at`, in float64. */
export function distribution(
  at: number,
  { scale = 1, softcap, projection }: LogProbHead,
): number[] {
  const row = hidden.subarray(at * h, (at + 1) * h);
  const logits = multiply(row, weight, h).map((logit, v) => {
    const scaled = scale * (logit + (projection.hasBias ? bias[v]! : 0));
    return softcap === undefined ? scaled : softcap * Math.tanh(scaled / softcap);
  });
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - total);
}

export function runHead(asked: AskedOfHead, head = plainHead) {
  const tape = Tape.start('/model');
  const x = tape.input({ name: 'x', type: 'float32', shape: ['n', h] });
  const weights = weightsOf({
    'lm_head.weight': array([V, h], weight),
    'lm_head.bias': array([V], bias),
    'embedding.weight': array([V, h], weight),
  });
  logProbHead(scopeOf(tape, weights), x, head);
  return runGraph(tape.finish(), { x: floats([n, h], hidden), ...headFeeds(asked) });
}

/** Two chunks. */
export const two = {
  scored: [
    [0, 3, 1],
    [2, 2, 0],
  ],
  targets: [
    [8, 0, 4],
    [1, 7, 0],
  ],
};
export const logprobsOf = ({ scored, targets }: AskedOfHead, head: LogProbHead): number[] =>
  scored.flat().map((at, i) => distribution(at, head)[targets.flat()[i]!]!);

export interface AskedOfHead {
  /** [chunks][rows] */
  scored: readonly (readonly number[])[];
  targets: readonly (readonly number[])[];
  temperatures?: readonly (readonly number[])[];
  /** [chunks][rows][width] */
  candidates?: readonly (readonly (readonly number[])[])[];
  topK?: number;
  wantsRanks?: boolean;
  wantsEntropies?: boolean;
  exposed?: readonly number[];
}

const nothingMore = { topK: 0, exposed: [], wantsRanks: false, wantsEntropies: false };

export function headFeeds(asked: AskedOfHead): Record<string, Array2> {
  const { scored, targets, temperatures } = asked;
  const { topK, exposed, wantsRanks, wantsEntropies } = { ...nothingMore, ...asked };
  const shape = [scored.length, scored[0]?.length ?? 0];
  const ones = scored.map((row) => row.map(() => 1));
  const candidates = asked.candidates?.flat(1) ?? [];
  return {
    [headInputs.scored.name]: integers(shape, scored.flat()),
    [headInputs.targets.name]: integers(shape, targets.flat()),
    [headInputs.temperatures.name]: floats(shape, (temperatures ?? ones).flat()),
    [headInputs.candidates.name]: integers(
      [...shape, candidates[0]?.length ?? 0],
      candidates.flat(),
    ),
    [headInputs.topK.name]: longs([1], [topK]),
    [headInputs.wantsTop.name]: flag(topK > 0),
    [headInputs.wantsSome.name]: flag(topK > 0 || wantsRanks || wantsEntropies),
    [headInputs.wantsRanks.name]: flag(wantsRanks),
    [headInputs.wantsEntropies.name]: flag(wantsEntropies),
    [headInputs.isTempered.name]: flag(temperatures !== undefined),
    [headInputs.exposed.name]: integers([exposed.length], exposed),
  };
}
