// From hidden rows to log-probabilities, only where they are asked for and a chunk of rows at a time, so that the
// logits of a whole batch never exist at once.
import { int, type Port } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { chunkOutputs, chunkPorts, scoreChunk } from './chunk.ts';
import { projection } from './linear.ts';
import { partsOf } from './log-probs.ts';
import { converted, floatConstant } from './numbers.ts';
import { at, type Scope } from './scope.ts';
import type { Linear } from './weights.ts';

/** Graph inputs of the head. Scored rows come as a rectangle [chunks, rows], padded with any valid index. */
export const headInputs = {
  /** Which rows of hidden [n, h] are scored. */
  scored: { name: 'scored', type: 'int32', shape: ['chunks', 'rows'] },
  /** The token whose probability is asked at each. */
  targets: { name: 'targets', type: 'int32', shape: ['chunks', 'rows'] },
  /** What the logits of each are divided by, if `isTempered`. */
  temperatures: { name: 'temperatures', type: 'float32', shape: ['chunks', 'rows'] },
  /** More tokens whose probabilities are asked at each; 0 of them cost nothing. */
  candidates: { name: 'candidates', type: 'int32', shape: ['chunks', 'rows', 'candidates'] },
  /** How many of the most likely tokens. */
  topK: { name: 'top_k', type: 'int64', shape: [1] },
  // What to do is decided on the host: to hear of it from a device would hold up every pass.
  wantsTop: { name: 'wants_top', type: 'bool', shape: [1] },
  wantsRanks: { name: 'wants_ranks', type: 'bool', shape: [1] },
  wantsEntropies: { name: 'wants_entropies', type: 'bool', shape: [1] },
  /** Any of these three. */
  wantsSome: { name: 'wants_some', type: 'bool', shape: [1] },
  isTempered: { name: 'is_tempered', type: 'bool', shape: [1] },
  /** Which rows of hidden are given as they are. */
  exposed: { name: 'exposed', type: 'int32', shape: ['exposed'] },
} as const satisfies Record<string, Port>;

/** Graph outputs, in this order. What is not asked is empty, and costs nothing. */
export const headOutputs = {
  logprobs: { name: 'logprobs', type: 'float32', shape: ['chunks', 'rows'] },
  /** logsumexp of the logits */
  normalizers: { name: 'normalizers', type: 'float32', shape: ['chunks', 'rows'] },
  candidateLogprobs: {
    name: 'candidate_logprobs',
    type: 'float32',
    shape: ['chunks', 'rows', 'candidates'],
  },
  topIds: { name: 'top_ids', type: 'int32', shape: ['chunks', 'topped', 'k'] },
  topLogprobs: { name: 'top_logprobs', type: 'float32', shape: ['chunks', 'topped', 'k'] },
  /** 1 + number of strictly more likely tokens */
  ranks: { name: 'ranks', type: 'int32', shape: ['chunks', 'ranked'] },
  /** in nats */
  entropies: { name: 'entropies', type: 'float32', shape: ['chunks', 'weighed'] },
  hidden: { name: 'hidden_rows', type: 'float32', shape: ['exposed', 'h'] },
} as const satisfies Record<string, Port>;

export interface LogProbHead {
  readonly projection: Linear;
  /** Logits are multiplied by it. */
  readonly scale?: number;
  /** Then they become cap · tanh(logits / cap). */
  readonly softcap?: number;
}

/**
 * Adds the outputs for hidden [n, h].
 *
 *   hidden ┬ Gather(scored) ─ [chunks, rows, h] ──────┐
 *          │       targets, temperatures, candidates ─┴─ Scan(scoreChunk)
 *          └ Gather(exposed)
 *
 * Scan rather than Loop: its slices are made on the device, without a round trip to the host.
 */
export function logProbHead(scope: Scope, hidden: Value, head: LogProbHead): void {
  const { tape } = scope;
  const logits = logitsOf(scope, head);
  const parts = partsOf(head.projection.rows, scope.target);
  const scored = tape.input(headInputs.scored);
  const slices = {
    targets: tape.input(headInputs.targets),
    temperatures: tape.input(headInputs.temperatures),
    candidates: tape.input(headInputs.candidates),
  };
  const topK = tape.input(headInputs.topK);
  const isTempered = tape.input(headInputs.isTempered);
  const wants = {
    top: tape.input(headInputs.wantsTop),
    ranks: tape.input(headInputs.wantsRanks),
    entropies: tape.input(headInputs.wantsEntropies),
    some: tape.input(headInputs.wantsSome),
  };
  const picked = tape.op('Gather', [hidden, scored], { axis: int(0) });
  const inputs = { hidden: picked, ...slices };
  const values = tape.scan('chunk', chunkPorts(scope.target.type), inputs, (inner, rows) =>
    scoreChunk(inner, rows, { logits, parts, isTempered, wants, topK }),
  );
  for (const name of chunkOutputs) tape.output(headOutputs[name], values[name]);
  exposeHidden(scope, hidden);
}

function exposeHidden({ tape, target }: Scope, hidden: Value): void {
  const exposed = tape.input(headInputs.exposed);
  const rows = tape.op('Gather', [hidden, exposed], { axis: int(0) });
  tape.output(headOutputs.hidden, converted(tape, rows, { from: target.type, to: 'float32' }));
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
