// What is computed of the logits of one chunk of rows. Everything but the log-probability of the target is in a branch
// that does not run unless it is asked, so that asking changes no other value.

import type { FloatType } from '../../quant/decode.ts';
import { int, int32Tensor, int64Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { type LogProbs, logProbs, type Parts } from './log-probs.ts';
import { castTo } from './numbers.ts';

const outputs = {
  logprobs: { type: 'float32', shape: ['rows'] },
  normalizers: { type: 'float32', shape: ['rows'] },
  candidateLogprobs: { type: 'float32', shape: ['rows', 'candidates'] },
  topIds: { type: 'int32', shape: ['topped', 'k'] },
  topLogprobs: { type: 'float32', shape: ['topped', 'k'] },
  ranks: { type: 'int32', shape: ['ranked'] },
  entropies: { type: 'float32', shape: ['weighed'] },
} as const;

/** Inputs and outputs of a chunk, in this order: those of the head without their first dimension. */
export const chunkPorts = (hidden: FloatType) =>
  ({
    inputs: {
      hidden: { type: hidden, shape: ['rows', 'h'] },
      targets: { type: 'int32', shape: ['rows'] },
      temperatures: { type: 'float32', shape: ['rows'] },
      candidates: { type: 'int32', shape: ['rows', 'candidates'] },
    },
    outputs,
  }) as const;

/** Its outputs by name, in order. */
export const chunkOutputs = [
  'logprobs',
  'normalizers',
  'candidateLogprobs',
  'topIds',
  'topLogprobs',
  'ranks',
  'entropies',
] as const satisfies (keyof typeof outputs)[];

const { topIds, topLogprobs, ranks, entropies } = outputs;
const tops = { topIds, topLogprobs };
const extras = { ...tops, ranks, entropies };

type Inputs = Record<keyof ReturnType<typeof chunkPorts>['inputs'], Value>;
type Outputs = Record<keyof typeof outputs, Value>;
type Extras = Record<keyof typeof extras, Value>;

/** Values of the graph around a chunk. */
export interface Around {
  readonly logits: (at: Tape, x: Value) => Value;
  readonly parts: Parts;
  readonly isTempered: Value;
  readonly topK: Value;
  /** `some`: any of the others. */
  readonly wants: Readonly<Record<'some' | 'top' | 'ranks' | 'entropies', Value>>;
}

/**
 *   hidden ─ logits ┬ logProbs ┬─ of(targets) ───── logprobs
 *                   │          ├─ of(candidates) ── candidateLogprobs
 *                   │          └─ If(wants.some) ── tops, ranks, entropies
 *                   └ GatherElements(targets) ÷ temperatures - logprobs ── normalizers
 */
export function scoreChunk(tape: Tape, inputs: Inputs, around: Around): Outputs {
  const logits = around.logits(tape, inputs.hidden); // [rows, V]
  const last = tape.constant('axis_1', int64Tensor([1], [1]));
  const targets = tape.op('Unsqueeze', [inputs.targets, last]); // [rows, 1]
  const temperatures = tape.op('Unsqueeze', [inputs.temperatures, last]); // [rows, 1]
  const { isTempered, parts } = around;
  const found = logProbs(tape, { logits, temperatures, isTempered }, parts);
  const picked = found.of(tape, targets);
  const logit = tape.op('GatherElements', [logits, targets], { axis: int(1) });
  const ofTarget = tape.op('Div', [logit, temperatures]);
  return {
    logprobs: tape.op('Squeeze', [picked, last]),
    normalizers: tape.op('Squeeze', [tape.op('Sub', [ofTarget, picked]), last]),
    candidateLogprobs: found.of(tape, inputs.candidates),
    ...some(tape, { found, picked, last }, around),
  };
}

/** all [rows, V], picked [rows, 1] */
type Scored = Record<'all' | 'picked' | 'last', Value>;

function some(
  tape: Tape,
  { found, ...asked }: Omit<Scored, 'all'> & { readonly found: LogProbs },
  { wants, topK }: Around,
): Extras {
  return tape.choose(
    wants.some,
    extras,
    (at) => {
      const scored = { ...asked, all: found.all(at) };
      return {
        ...at.choose(wants.top, tops, (inner) => top(inner, scored, topK), noTop),
        ...at.choose(wants.ranks, { ranks }, (inner) => rank(inner, scored), noRanks),
        ...at.choose(
          wants.entropies,
          { entropies },
          (inner) => entropy(inner, scored),
          noEntropies,
        ),
      };
    },
    (at) => ({ ...noTop(at), ...noRanks(at), ...noEntropies(at) }),
  );
}

function top(tape: Tape, { all }: Scored, topK: Value): Record<keyof typeof tops, Value> {
  const [topLogprobs, ids] = tape.ops('TopK', [all, topK], {}, ['values', 'ids']);
  return { topIds: castTo(tape, ids, 'int32'), topLogprobs };
}

/** One more than how many beat the picked one. */
function rank(tape: Tape, { all, picked, last }: Scored): { ranks: Value } {
  const isBetter = castTo(tape, tape.op('Greater', [all, picked]), 'int32');
  const better = tape.op('ReduceSum', [isBetter, last], { keepdims: int(0) });
  return { ranks: tape.op('Add', [better, tape.constant('one', int32Tensor([1], [1]))]) };
}

function entropy(tape: Tape, { all, last }: Scored): { entropies: Value } {
  const weighed = tape.op('Mul', [tape.op('Exp', [all]), all]);
  const sum = tape.op('ReduceSum', [weighed, last], { keepdims: int(0) });
  return { entropies: tape.op('Neg', [sum]) };
}

const noFloats = (shape: readonly number[]) =>
  ({ type: 'float32', shape, data: new Uint8Array(0) }) as const;
const noTop = (tape: Tape) => ({
  topIds: tape.constant('no_ids', int32Tensor([], [0, 0])),
  topLogprobs: tape.constant('no_logprobs', noFloats([0, 0])),
});
const noRanks = (tape: Tape) => ({ ranks: tape.constant('no_ranks', int32Tensor([], [0])) });
const noEntropies = (tape: Tape) => ({
  entropies: tape.constant('no_entropies', noFloats([0])),
});
