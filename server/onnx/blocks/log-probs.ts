// Log-probabilities of logits: of single tokens, and of all where that is asked.
import { int, int32Tensor, int64Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import type { Target } from '../target.ts';
import { shapeConstant } from './shapes.ts';

export interface LogProbs {
  /** Of tokens `ids` [rows, k]. */
  of(tape: Tape, ids: Value): Value;
  /** Of the whole vocabulary [rows, V], in the same numbers. */
  all(tape: Tape): Value;
}

/** Logits, and what they are divided by. */
export interface Tempered {
  /** [rows, V] */
  readonly logits: Value;
  /** [rows, 1]; all 1 unless `isTempered` [1] */
  readonly temperatures: Value;
  readonly isTempered: Value;
}

/** Parts of the vocabulary: so many, of `width` tokens each. */
export interface Parts {
  readonly count: number;
  readonly width: number;
}

/**
 * CUDA's LogSoftmax reads a row of up to 1,024 numbers once, and longer ones three times, for which they had better stay
 * in the cache of a multiprocessor (ONNX Runtime, core/providers/cuda/math/softmax.cc).
 */
const mostNumbers = [1024, 12_288] as const;
const leastNumbers = 128;

/** The vocabulary as one where there is nothing to win, on a CPU and in float32, or nothing that divides it. */
export function partsOf(vocabularySize: number, { provider, type }: Target): Parts {
  const isApart = provider === 'CUDA' && type !== 'float32';
  for (const most of isApart ? mostNumbers : []) {
    for (let width = most; width >= leastNumbers; width--) {
      if (vocabularySize % width === 0) return { count: vocabularySize / width, width };
    }
  }
  return { count: 1, width: vocabularySize };
}

export const logProbs = (tape: Tape, tempered: Tempered, parts: Parts): LogProbs =>
  parts.count === 1 ? asOne(tape, tempered) : inParts(tape, tempered, parts);

function asOne(tape: Tape, tempered: Tempered): LogProbs {
  const all = logSoftmax(tape, tempered, ['rows', 'V']);
  return { of: (at, ids) => pick(at, all, ids), all: () => all };
}

/**
 * A token's probability is that of its part, times its own within the part:
 *
 *   logits ─ Reshape [rows, parts, width] ┬ LogSoftmax ┬───────────────────────────── within
 *                                         └─── Sub ────┘ at any token: logsumexp of the part
 *                                               └ [rows, parts] ─ LogSoftmax ──────── share
 */
function inParts(tape: Tape, tempered: Tempered, { count, width }: Parts): LogProbs {
  const logits = tape.op('Reshape', [tempered.logits, shapeConstant(tape, [-1, count, width])]);
  const first = tape.constant('index_0', int64Tensor([0], [1]));
  const last = tape.constant('axis_2', int64Tensor([2], [1]));
  const temperatures = tape.op('Unsqueeze', [tempered.temperatures, last]);
  const within = logSoftmax(tape, { ...tempered, logits, temperatures }, [
    'rows',
    'parts',
    'width',
  ]);
  const firstOf = (x: Value) =>
    tape.op('Squeeze', [tape.op('Gather', [x, first], { axis: int(2) }), last]);
  const divided = tape.op('Div', [firstOf(logits), tempered.temperatures]);
  const sums = tape.op('Sub', [divided, firstOf(within)]);
  const share = tape.op('LogSoftmax', [sums], { axis: int(-1) }); // [rows, parts]
  const flat = shapeConstant(tape, [-1, count * width]);
  const rows = tape.op('Reshape', [within, flat]);
  const widthOfPart = tape.constant(`part_${width}`, int32Tensor([width], [1]));
  return {
    of: (at, ids) => {
      const part = at.op('Div', [ids, widthOfPart]);
      return at.op('Add', [pick(at, rows, ids), pick(at, share, part)]);
    },
    all: (at) => {
      const wide = at.op('Unsqueeze', [share, last]);
      return at.op('Reshape', [at.op('Add', [within, wide]), flat]);
    },
  };
}

const pick = (tape: Tape, from: Value, ids: Value): Value =>
  tape.op('GatherElements', [from, ids], { axis: int(1) });

/** Over the last of `shape`. A branch holds the division and the softmax, so that neither is a copy of the logits. */
function logSoftmax(
  tape: Tape,
  { logits, temperatures, isTempered }: Tempered,
  shape: readonly string[],
): Value {
  const soft = (at: Tape, x: Value) => ({ all: at.op('LogSoftmax', [x], { axis: int(-1) }) });
  const { all } = tape.choose(
    isTempered,
    { all: { type: 'float32', shape } },
    (at) => soft(at, at.op('Div', [logits, temperatures])),
    (at) => soft(at, logits),
  );
  return all;
}
