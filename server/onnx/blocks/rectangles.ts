// Attention over rectangles of tokens, one after another: the kernel for CPU takes nothing else. Elsewhere, where no
// kernel does what a model needs, it is written out in plain operators.
import {
  dataTypes,
  float,
  graph,
  int,
  int32Tensor,
  int64Tensor,
  ints,
  type Port,
} from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import type { Target } from '../target.ts';
import type { Attention, Inputs } from './attention.ts';
import { castTo } from './numbers.ts';
import { attendPlainly } from './plain-attention.ts';
import type { Scope } from './scope.ts';
import { narrow, shapeOf, widen, widened } from './shapes.ts';

/** Graph inputs that say which tokens attend to which. See batch/rectangles.ts for how they are made. */
export const rectangleInputs = {
  /** int64 [R, 5]: rows, length, past length, first of `slots`, first of `past`. More than one row only without a past. */
  rectangles: { name: 'rectangles', type: 'int64', shape: ['rectangles', 5] },
  /** The packed token in each slot, rectangle after rectangle, row after row. */
  slots: { name: 'slots', type: 'int32', shape: ['slots'] },
  /** The packed tokens that stand before the rectangle's only row. */
  past: { name: 'past', type: 'int32', shape: ['past'] },
  /** Where each packed token's output is found among the slots. */
  places: { name: 'places', type: 'int32', shape: ['tokens'] },
} as const satisfies Record<string, Port>;

/** The same as values of the graph. */
export type Rectangles = { readonly kind: 'Rectangles' } & Readonly<
  Record<keyof typeof rectangleInputs, Value>
>;

export const rectanglesLayout = (tape: Tape): Rectangles => ({
  kind: 'Rectangles',
  rectangles: tape.input(rectangleInputs.rectangles),
  slots: tape.input(rectangleInputs.slots),
  past: tape.input(rectangleInputs.past),
  places: tape.input(rectangleInputs.places),
});

/**
 * q [N, heads·d], k and v [N, kvHeads·d] → [N, heads·d]
 *
 *   q, k, v ─ Loop over rectangles: Gather(slots) ─ attention of one rectangle ─ SequenceInsert
 *                                   └ Gather(past) ┘
 *           ─ ConcatFromSequence ─ Gather(places)
 */
export function attendRectangles(
  { tape, target }: Scope,
  inputs: Inputs,
  layer: Attention,
  layout: Rectangles,
): Value {
  const { rectangles, places } = layout;
  const first = tape.constant('scalar_0', int64Tensor([0], []));
  const count = tape.op('Gather', [tape.op('Shape', [rectangles]), first], { axis: int(0) });
  const none = tape.op('SequenceEmpty', [], { dtype: int(dataTypes[target.type]) });
  const done = { type: target.type, shape: ['n', 'h'], isSequence: true } as const;
  const body = tape.subgraph(
    'rectangle',
    {
      inputs: { index: { type: 'int64', shape: [] }, goesOn: { type: 'bool', shape: [] }, done },
      outputs: { goesOnAfter: { type: 'bool', shape: [] }, doneAfter: done },
    },
    (inner, { index, goesOn, done }) => {
      const rectangle = readRectangle(inner, rectangles, index);
      const output = attendRectangle(inner, inputs, layer, { layout, rectangle, target });
      return {
        goesOnAfter: inner.op('Identity', [goesOn]),
        doneAfter: inner.op('SequenceInsert', [done, output]),
      };
    },
  );
  const all = tape.op('Loop', [count, undefined, none], { body: graph(body) });
  const slots = tape.op('ConcatFromSequence', [all], { axis: int(0) });
  return tape.op('Gather', [slots, places], { axis: int(0) });
}

/** int64 [1] each */
type Rectangle = Readonly<Record<'rows' | 'length' | 'past' | 'firstSlot' | 'firstPast', Value>>;

function readRectangle(tape: Tape, rectangles: Value, index: Value): Rectangle {
  const row = tape.op('Gather', [rectangles, index], { axis: int(0) });
  const [rows, length, past, firstSlot, firstPast] = tape.ops(
    'Split',
    [row],
    { axis: int(0), num_outputs: int(5) },
    ['rows', 'length', 'past', 'first_slot', 'first_past'],
  );
  return { rows, length, past, firstSlot, firstPast };
}

/** What one rectangle attends with. Heads are widened. */
export interface OneRectangle {
  /** q [rows, length, heads·d], k and v [rows, length, kvHeads·d] */
  readonly inputs: Inputs;
  /** [rows, kvHeads, past, d] each */
  readonly cached: Readonly<Record<'k' | 'v', Value>>;
  readonly rows: Value;
  readonly length: Value;
  readonly past: Value;
}

function attendRectangle(
  tape: Tape,
  { q, k, v }: Inputs,
  layer: Attention,
  { layout, rectangle, target }: { layout: Rectangles; rectangle: Rectangle; target: Target },
): Value {
  const { heads, kvHeads, headDim } = layer;
  const { rows, length, past, firstSlot, firstPast } = rectangle;
  const size = tape.op('Mul', [rows, length]);
  const slots = slice(tape, layout.slots, firstSlot, size);
  const before = slice(tape, layout.past, firstPast, past);
  const width = widened(headDim);
  const take = (x: Value, indices: Value, count: number) =>
    widen(tape, tape.op('Gather', [x, indices], { axis: int(0) }), { count, headDim, target });
  const own = (x: Value, count: number) =>
    tape.op('Reshape', [take(x, slots, count), shapeOf(tape, [rows, length, count * width])]);
  const cached = (x: Value) => {
    const shape = [take(x, before, kvHeads), shapeOf(tape, [past, kvHeads, width])];
    const perHead = tape.op('Reshape', shape, { allowzero: int(1) });
    const turned = tape.op('Transpose', [perHead], { perm: ints(1, 0, 2) });
    const whole = shapeOf(tape, [rows, kvHeads, past, width]);
    return tape.op('Reshape', [turned, whole], { allowzero: int(1) });
  };
  const one: OneRectangle = {
    inputs: { q: own(q, heads), k: own(k, kvHeads), v: own(v, kvHeads) },
    cached: { k: cached(k), v: cached(v) },
    rows,
    length,
    past,
  };
  const output =
    target.provider === 'CPU'
      ? attendGrouped(tape, one, layer)
      : attendPlainly(tape, target, one, layer);
  return narrow(tape, output, layer);
}

/** The cache outputs are named though nothing reads them: with a single output the CPU kernel keeps all S² scores. */
function attendGrouped(tape: Tape, { inputs, cached, ...one }: OneRectangle, layer: Attention) {
  const { q, k, v } = inputs;
  const total = castTo(tape, tape.op('Add', [one.past, one.length]), 'int32');
  const last = tape.op('Sub', [total, tape.constant('one', int32Tensor([1], [1]))]);
  const [output] = tape.ops(
    'GroupQueryAttention',
    [q, k, v, cached.k, cached.v, tape.op('Expand', [last, one.rows]), total],
    kernelAttributes(layer),
    ['output_0', 'present_key', 'present_value'],
  );
  return output;
}

/** Of GroupQueryAttention and PagedAttention alike. */
export const kernelAttributes = (layer: Attention) => ({
  num_heads: int(layer.heads),
  kv_num_heads: int(layer.kvHeads),
  scale: float(layer.scale ?? 1 / Math.sqrt(layer.headDim)),
  ...(layer.softcap !== undefined && { softcap: float(layer.softcap) }),
  ...(layer.window !== undefined && { local_window_size: int(layer.window) }),
});

/** x[first … first + count) */
function slice(tape: Tape, x: Value, first: Value, count: Value): Value {
  return tape.op('Slice', [x, first, tape.op('Add', [first, count])]);
}
