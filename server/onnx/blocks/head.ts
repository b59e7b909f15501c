// From hidden rows to log-probabilities, only where they are asked for and a chunk of rows at a time, so that the
// logits of a whole batch never exist at once.

import type { FloatType } from '../../quant/decode.ts';
import { graph, int, int32Tensor, int64Tensor, type Port } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { projection } from './linear.ts';
import { converted, floatConstant } from './numbers.ts';
import { at, type Scope } from './scope.ts';
import type { Linear } from './weights.ts';

/** Graph inputs of the head. Scored rows come as a rectangle [chunks, rows], padded with any valid index. */
export const headInputs = {
  /** Which rows of hidden [n, h] are scored. */
  scored: { name: 'scored', type: 'int32', shape: ['chunks', 'rows'] },
  /** The token whose probability is asked at each. */
  targets: { name: 'targets', type: 'int32', shape: ['chunks', 'rows'] },
  /** How many of the most likely tokens; 0 leaves ranks and tops empty. */
  topK: { name: 'top_k', type: 'int64', shape: [1] },
} as const satisfies Record<string, Port>;

/** Graph outputs, in this order. Ranks and tops are empty, and cost nothing, when top_k is 0. */
export const headOutputs = {
  logprobs: { name: 'logprobs', type: 'float32', shape: ['chunks', 'rows'] },
  /** 1 + number of strictly more likely tokens */
  ranks: { name: 'ranks', type: 'int32', shape: ['chunks', 'ranked'] },
  topIds: { name: 'top_ids', type: 'int32', shape: ['chunks', 'ranked', 'k'] },
  topLogprobs: { name: 'top_logprobs', type: 'float32', shape: ['chunks', 'ranked', 'k'] },
} as const satisfies Record<string, Port>;

export interface LogProbHead {
  readonly projection: Linear;
  /** Logits are multiplied by it. */
  readonly scale?: number;
  /** Then they become cap · tanh(logits / cap). */
  readonly softcap?: number;
}

/**
 * Adds the four outputs for hidden [n, h].
 *
 *   hidden ─ Gather(scored) ─ [chunks, rows, h] ─┐
 *                                       targets ─┴─ Scan(scoreChunk)
 *
 * Scan rather than Loop: its slices are made on the device, without a round trip to the host.
 */
export function logProbHead(scope: Scope, hidden: Value, head: LogProbHead): void {
  const { tape } = scope;
  const logits = logitsOf(scope, head);
  const { type } = scope.target;
  const scored = tape.input(headInputs.scored);
  const targets = tape.input(headInputs.targets);
  const topK = tape.input(headInputs.topK);
  const zero = tape.constant('index_0', int64Tensor([0], [1]));
  const wantsTop = tape.op('Greater', [topK, zero]);
  const picked = tape.op('Gather', [hidden, scored], { axis: int(0) });
  const body = tape.subgraph(
    'chunk',
    { inputs: chunkInputs(type), outputs: { logprobs: perRow(headOutputs.logprobs), ...tops } },
    (inner, rows) => scoreChunk(inner, rows, { logits, wantsTop, topK }),
  );
  const [logprobs, ranks, topIds, topLogprobs] = tape.ops(
    'Scan',
    [picked, targets],
    { body: graph(body), num_scan_inputs: int(2) },
    ['logprobs', 'ranks', 'topIds', 'topLogprobs'],
  );
  tape.output(headOutputs.logprobs, logprobs);
  tape.output(headOutputs.ranks, ranks);
  tape.output(headOutputs.topIds, topIds);
  tape.output(headOutputs.topLogprobs, topLogprobs);
}

/** hidden [rows, h] → logits [rows, V] in float32 */
export function logitsOf(scope: Scope, head: LogProbHead): (tape: Tape, x: Value) => Value {
  const project = projection(at(scope, 'lm_head'), head.projection, { isRepeated: true });
  const { scale = 1, softcap } = head;
  return (tape, x) => {
    const inner = tape.at('lm_head');
    const logits = converted(inner, project(inner, x), { from: scope.target.type, to: 'float32' });
    const scaled = scale === 1 ? logits : multiply(inner, logits, scale);
    if (softcap === undefined) return scaled;
    return multiply(inner, inner.op('Tanh', [multiply(inner, scaled, 1 / softcap)]), softcap);
  };
}

const multiply = (tape: Tape, x: Value, factor: number): Value =>
  tape.op('Mul', [x, floatConstant(tape, factor)]);

/** An output of the head as one chunk has it. */
const perRow = ({ type, shape }: Port) => ({ type, shape: shape.slice(1) });

const chunkInputs = (type: FloatType) =>
  ({
    hidden: { type, shape: ['rows', 'h'] },
    targets: { type: 'int32', shape: ['rows'] },
  }) as const;

const tops = {
  ranks: perRow(headOutputs.ranks),
  topIds: perRow(headOutputs.topIds),
  topLogprobs: perRow(headOutputs.topLogprobs),
};

/**
 * hidden [rows, h], targets [rows] → the four outputs of one chunk
 *
 *   hidden ─ logits ─ LogSoftmax ─┬─ GatherElements(targets) ── logprobs
 *                                   └─ If(wantsTop) ── ranks, topIds, topLogprobs
 */
function scoreChunk(
  tape: Tape,
  { hidden, targets }: Record<'hidden' | 'targets', Value>,
  outer: { logits: (at: Tape, x: Value) => Value; wantsTop: Value; topK: Value },
): Record<keyof typeof headOutputs, Value> {
  const all = tape.op('LogSoftmax', [outer.logits(tape, hidden)], { axis: int(-1) }); // [rows, V]
  const last = tape.constant('axis_1', int64Tensor([1], [1]));
  const column = tape.op('Unsqueeze', [targets, last]);
  const picked = tape.op('GatherElements', [all, column], { axis: int(1) }); // [rows, 1]
  const ports = { inputs: {}, outputs: tops };
  const some = tape.subgraph('top', ports, (inner) =>
    top(inner, { all, picked, last }, outer.topK),
  );
  const none = tape.subgraph('no_top', ports, noTop);
  const branches = { then_branch: graph(some), else_branch: graph(none) };
  const names = ['ranks', 'topIds', 'topLogprobs'] as const;
  const [ranks, topIds, topLogprobs] = tape.ops('If', [outer.wantsTop], branches, names);
  return { logprobs: tape.op('Squeeze', [picked, last]), ranks, topIds, topLogprobs };
}

/** all [rows, V], picked [rows, 1] → the most likely tokens, and how many beat the picked one. */
function top(
  tape: Tape,
  { all, picked, last }: Record<'all' | 'picked' | 'last', Value>,
  topK: Value,
): Record<keyof typeof tops, Value> {
  const [topLogprobs, ids] = tape.ops('TopK', [all, topK], {}, ['values', 'ids']);
  const isBetter = tape.op('Cast', [tape.op('Greater', [all, picked])], { to: int(6) });
  const better = tape.op('ReduceSum', [isBetter, last], { keepdims: int(0) });
  const one = tape.constant('one', int32Tensor([1], [1]));
  const ranks = tape.op('Add', [better, one]);
  return { ranks, topIds: tape.op('Cast', [ids], { to: int(6) }), topLogprobs };
}

function noTop(tape: Tape): Record<keyof typeof tops, Value> {
  const empty = { type: 'float32', shape: [0, 0], data: new Uint8Array(0) } as const;
  return {
    ranks: tape.constant('no_ranks', int32Tensor([], [0])),
    topIds: tape.constant('no_ids', int32Tensor([], [0, 0])),
    topLogprobs: tape.constant('no_logprobs', empty),
  };
}
