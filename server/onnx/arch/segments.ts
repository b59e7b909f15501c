// A decoder in pieces, for work that must not hold the whole model in memory: its embedding, one layer at a time, and
// its head in slices of the vocabulary. Hidden rows go from piece to piece.
import { logitsOf } from '../blocks/head.ts';
import { converted } from '../blocks/numbers.ts';
import { rewardHead } from '../blocks/reward.ts';
import type { Scope } from '../blocks/scope.ts';
import { type Linear, sliceRows, type Weights } from '../blocks/weights.ts';
import { type Graph, int, int64Tensor, type Port } from '../graph.ts';
import { Tape, type Value } from '../tape.ts';
import { cpuTarget, type Target } from '../target.ts';
import {
  added,
  type Decoder,
  decoderGraph,
  decoderLayer,
  embed,
  finalNorm,
  type Layer,
  sharedInputs,
} from './decoder.ts';
import { inventory } from './inventory.ts';

/** Rows between the pieces. */
export const hiddenPort = { name: 'hidden', type: 'float32', shape: ['tokens', 'h'] } as const;
/** What a piece makes of them. */
export const nextPort = { name: 'next', type: 'float32', shape: ['tokens', 'h'] } as const;

/** Conversion runs where memory is cheap. */
const scopeOf = (tape: Tape, weights: Weights, target = cpuTarget): Scope => {
  return { tape, weights, target, observe: () => {} };
};

/** tokens → next */
export function embeddingGraph(decoder: Decoder, weights: Weights): Graph {
  const tape = Tape.start('/embedding');
  tape.output(nextPort, embed(scopeOf(tape, weights), decoder));
  return tape.finish();
}

/** hidden → next */
export function layerGraph(
  decoder: Pick<Decoder, 'layers' | 'ropes'>,
  index: number,
  weights: Weights,
  target: Target = cpuTarget,
): Graph {
  const tape = Tape.start(`/layers.${index}`);
  const layer = layerAt(decoder, index);
  const scope = scopeOf(tape, weights, target);
  const shared = sharedInputs(scope, decoder);
  const { type } = target;
  const sum = converted(tape, tape.input(hiddenPort), { from: 'float32', to: type });
  const stream = decoderLayer(scope, { sum }, layer, shared);
  tape.output(nextPort, converted(tape, added(tape, stream), { from: type, to: 'float32' }));
  return tape.finish();
}

function layerAt({ layers }: Pick<Decoder, 'layers'>, index: number): Layer {
  const layer = layers[index];
  if (!layer) throw new RangeError(`there is no layer ${index}`);
  return layer;
}

/** The hidden rows of another model, in `observationGraph`. */
export const otherPort = { name: 'other', type: 'float32', shape: ['tokens', 'h'] } as const;

/** What the matrices that read the same rows multiply: X of `hidden`, X' of `other`. */
export interface Observation {
  /** float32 [n, K] each */
  readonly own: Port;
  readonly others: Port;
  readonly columns: number;
  /** The matrices that multiply these rows. */
  readonly layers: readonly Linear[];
}

/**
 * hidden → next, and each distinct input of the layer's matrices, of these hidden rows and of other ones. Experts are
 * left out: they are many, and most tokens never come to them.
 */
export function observationGraph(
  decoder: Decoder,
  index: number,
  weights: Weights,
): { graph: Graph; observations: readonly Observation[] } {
  const tape = Tape.start(`/layers.${index}`);
  const shared = sharedInputs(scopeOf(tape, weights), decoder);
  const layer = layerAt(decoder, index);
  const watch = (folder: string, port: Port) => {
    const inputs = new Map<string, { x: Value; layers: Linear[] }>();
    const observe = (linear: Linear, x: Value) => {
      const known = inputs.get(x.name);
      if (known) known.layers.push(linear);
      else inputs.set(x.name, { x, layers: [linear] });
    };
    const scope = { ...scopeOf(tape.at(folder), weights), observe };
    const stream = decoderLayer(scope, { sum: tape.input(port) }, layer, shared);
    return { stream, inputs: [...inputs.values()] };
  };
  const plain = watch('plain', hiddenPort);
  const other = watch('other', otherPort);
  tape.output(nextPort, added(tape.at('plain'), plain.stream));
  const observations = plain.inputs.map(({ x, layers }, i) => {
    const columns = layers[0]?.columns ?? 0;
    const port = (name: string): Port => {
      return { name: `${name}.${i}`, type: 'float32', shape: ['tokens', columns] };
    };
    const [own, others] = [port('own'), port('others')];
    tape.output(own, x);
    tape.output(others, other.inputs[i]?.x ?? x);
    return { own, others, columns, layers };
  });
  return { graph: tape.finish(), observations };
}

/** Ports of `productGraph`, float32 of two dimensions each. */
export const product = {
  a: { name: 'a', type: 'float32', shape: ['i', 'j'] },
  b: { name: 'b', type: 'float32', shape: ['p', 'q'] },
  c: { name: 'c', type: 'float32', shape: ['m', 'n'] },
} as const satisfies Record<string, Port>;

/** a·b, with either of them transposed before. */
export function productGraph(transposed: { a?: boolean; b?: boolean } = {}): Graph {
  const tape = Tape.start('/product');
  const factors = [tape.input(product.a), tape.input(product.b)];
  const attributes = { transA: int(transposed.a ? 1 : 0), transB: int(transposed.b ? 1 : 0) };
  tape.output(product.c, tape.op('Gemm', factors, attributes));
  return tape.finish();
}

/** `last` and hidden → rewards */
export function rewardGraph(decoder: Decoder, weights: Weights): Graph {
  const tape = Tape.start('/head');
  const scope = scopeOf(tape, weights);
  const x = finalNorm(scope, { sum: tape.input(hiddenPort) }, decoder);
  if (decoder.head.task === 'Reward') rewardHead(scope, x, decoder.head.score);
  return tape.finish();
}

export interface VocabularySlice {
  readonly from: number;
  readonly to: number;
}

/** Ports of `comparisonGraph`, each output float32 [n, 1]. */
export const comparison = {
  /** hidden rows of the model as it is, and of the model to compare with it */
  plain: { name: 'plain', type: 'float32', shape: ['n', 'h'] },
  other: { name: 'other', type: 'float32', shape: ['n', 'h'] },
  /** the token that followed, counted from the start of the slice and kept within it */
  targets: { name: 'targets', type: 'int64', shape: ['n', 1] },
  /** a, b: logits of the two in this slice. max(a), Σ exp(a - max), max(b), Σ exp(b - max), Σ exp(a - max)·(a - b) */
  plainMax: { name: 'plain_max', type: 'float32', shape: ['n', 1] },
  plainSum: { name: 'plain_sum', type: 'float32', shape: ['n', 1] },
  otherMax: { name: 'other_max', type: 'float32', shape: ['n', 1] },
  otherSum: { name: 'other_sum', type: 'float32', shape: ['n', 1] },
  excess: { name: 'excess', type: 'float32', shape: ['n', 1] },
  plainTarget: { name: 'plain_target', type: 'float32', shape: ['n', 1] },
  otherTarget: { name: 'other_target', type: 'float32', shape: ['n', 1] },
} as const satisfies Record<string, Port>;

/** What a slice of the vocabulary adds to the divergence of two models whose last hidden rows are given. */
export function comparisonGraph(
  decoder: Decoder,
  weights: { plain: Weights; other: Weights },
  slice: VocabularySlice,
): Graph {
  const tape = Tape.start('/comparison');
  const logits = (name: 'plain' | 'other'): Value => {
    const { head } = decoder;
    if (head.task === 'Reward') throw new RangeError('a reward model has no vocabulary to compare');
    const apart = tape.apart(name);
    const scope = scopeOf(apart, weights[name]);
    const x = finalNorm(scope, { sum: tape.input(comparison[name]) }, decoder);
    const rows = slice.to - slice.from;
    const part = { ...head, projection: { ...head.projection, rows } };
    const sliced = { ...scope, weights: sliceRows(weights[name], head.projection, slice) };
    return logitsOf(sliced, part)(apart, x);
  };
  const a = logits('plain');
  const b = logits('other');
  const targets = tape.input(comparison.targets);
  const plain = exponentials(tape.at('plain'), a);
  const other = exponentials(tape.at('other'), b);
  const weighted = tape.op('Mul', [plain.values, tape.op('Sub', [a, b])]);
  tape.output(comparison.plainMax, plain.max);
  tape.output(comparison.plainSum, plain.sum);
  tape.output(comparison.otherMax, other.max);
  tape.output(comparison.otherSum, other.sum);
  tape.output(comparison.excess, sumOfRows(tape, weighted));
  const target = (x: Value) => tape.op('GatherElements', [x, targets], { axis: int(1) });
  tape.output(comparison.plainTarget, target(a));
  tape.output(comparison.otherTarget, target(b));
  return tape.finish();
}

const axis = (tape: Tape): Value => tape.constant('axis_1', int64Tensor([1], [1]));

const sumOfRows = (tape: Tape, x: Value): Value => tape.op('ReduceSum', [x, axis(tape)]);

/** x [n, v] → max [n, 1], exp(x - max) and its sum [n, 1] */
function exponentials(tape: Tape, x: Value): Record<'max' | 'values' | 'sum', Value> {
  const max = tape.op('ReduceMax', [x, axis(tape)]);
  const values = tape.op('Exp', [tape.op('Sub', [x, max])]);
  return { max, values, sum: sumOfRows(tape, values) };
}

/** The names of the tensors that each layer asks for, and of all others. */
export function segmentNames(decoder: Decoder): { layers: string[][]; rest: string[] } {
  const namesOf = (record: (weights: Weights) => void) => [
    ...new Set(inventory(record).map(({ name }) => name)),
  ];
  const layers = decoder.layers.map((_, index) =>
    namesOf((weights) => layerGraph(decoder, index, weights)),
  );
  const inLayers = new Set(layers.flat());
  const all = namesOf((weights) => decoderGraph(decoder, weights));
  return { layers, rest: all.filter((name) => !inLayers.has(name)) };
}
