// Causal attention over packed tokens: every other operator sees the real tokens of a batch only, [N, …]. Around the
// attention itself the tokens are laid out in rectangles, one after another, since the CPU kernel takes nothing else.
import { float, graph, int, int32Tensor, int64Tensor, ints, type Port } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { type Norm, normalize } from './norm.ts';
import { at, type Scope } from './scope.ts';
import { type Linear, linear } from './weights.ts';

/** Graph inputs that say which tokens attend to which. See pack.ts for how they are made. */
export const attentionInputs = {
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
export type Layout = Readonly<Record<keyof typeof attentionInputs, Value>>;

/** float32 [N, dim/2] each: the angle of each packed token. */
export interface Rotation {
  readonly cos: Value;
  readonly sin: Value;
  /** How many leading numbers of a head are rotated. */
  readonly dim: number;
}

export interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** How the three inputs of attention come out of linear layers. */
export type QueryKeyValue =
  | { readonly kind: 'Separate'; readonly q: Linear; readonly k: Linear; readonly v: Linear }
  /** One matrix: all of q, then all of k, then all of v. */
  | { readonly kind: 'Fused'; readonly qkv: Linear }
  /** One matrix: q, k and v of the first head, then of the second, …: NeoX. */
  | { readonly kind: 'Interleaved'; readonly qkv: Linear };

export interface Attention extends Heads {
  readonly qkv: QueryKeyValue;
  readonly output: Linear;
  /** Over each head, or over all of them at once: as long as what they normalize. */
  readonly qNorm?: Norm;
  readonly kNorm?: Norm;
  /** Of q·k. Default 1/√headDim. */
  readonly scale?: number;
  /** Logits become cap · tanh(logits / cap). */
  readonly softcap?: number;
  /** A token sees itself and the `window` - 1 before it. */
  readonly window?: number;
}

/**
 * x [N, h] → [N, h]
 *
 *   x ─┬─ q ─ (norm) ─ (rotate) ─┐
 *      ├─ k ─ (norm) ─ (rotate) ─┼─ attend ─ output
 *      └─ v ─────────────────────┘
 */
export function attention(
  scope: Scope,
  x: Value,
  layer: Attention,
  shared: { layout: Layout; rotation?: Rotation },
): Value {
  const { heads, kvHeads } = layer;
  const { q, k, v } = projected(scope, x, layer);
  const side = (name: string, value: Value, count: number, norm?: Norm) => {
    const inner = at(scope, name);
    const normed = norm ? normalizeHeads(inner, value, norm, count * layer.headDim) : value;
    return shared.rotation ? rotate(inner.tape, normed, shared.rotation, count) : normed;
  };
  const inputs = {
    q: side('q', q, heads, layer.qNorm),
    k: side('k', k, kvHeads, layer.kNorm),
    v,
  };
  return linear(at(scope, 'o'), attend(scope.tape, inputs, layer, shared.layout), layer.output);
}

function projected(scope: Scope, x: Value, layer: Attention): Record<'q' | 'k' | 'v', Value> {
  const { tape } = scope;
  const { heads, kvHeads, headDim, qkv } = layer;
  if (qkv.kind === 'Separate') {
    return {
      q: linear(at(scope, 'q'), x, qkv.q),
      k: linear(at(scope, 'k'), x, qkv.k),
      v: linear(at(scope, 'v'), x, qkv.v),
    };
  }
  const all = linear(at(scope, 'qkv'), x, qkv.qkv);
  if (qkv.kind === 'Fused') {
    const sizes = [heads, kvHeads, kvHeads].map((count) => count * headDim);
    const split = tape.constant(`split_${sizes.join('_')}`, int64Tensor(sizes, [3]));
    const [q, k, v] = tape.ops('Split', [all, split], { axis: int(1) }, ['q', 'k', 'v']);
    return { q, k, v };
  }
  const perHead = shapeConstant(tape, [-1, heads, 3, headDim]);
  const grouped = tape.op('Reshape', [all, perHead]);
  const attributes = { axis: int(2), num_outputs: int(3) };
  const [q, k, v] = tape.ops('Split', [grouped], attributes, ['q', 'k', 'v']);
  const flat = (value: Value) =>
    tape.op('Reshape', [value, shapeConstant(tape, [-1, heads * headDim])]);
  return { q: flat(q), k: flat(k), v: flat(v) };
}

const shapeConstant = (tape: Tape, shape: readonly number[]): Value =>
  tape.constant(`shape_${shape.join('_')}`, int64Tensor(shape, [shape.length]));

/** x [N, width], over runs of as many numbers as the norm has. */
function normalizeHeads(scope: Scope, x: Value, norm: Norm, width: number): Value {
  if (norm.length === width) return normalize(scope, x, norm);
  const { tape } = scope;
  const rows = tape.op('Reshape', [x, shapeConstant(tape, [-1, norm.length])]);
  return tape.op('Reshape', [normalize(scope, rows, norm), shapeConstant(tape, [-1, width])]);
}

/** x [N, heads·d]: row i is turned by row i of the tables. */
function rotate(tape: Tape, x: Value, { cos, sin, dim }: Rotation, heads: number): Value {
  const first = tape.constant('index_0', int64Tensor([0], [1]));
  const one = tape.op('Unsqueeze', [x, first]); // [1, N, heads·d]
  const turned = tape.op('RotaryEmbedding', [one, first, cos, sin], {
    num_heads: int(heads),
    rotary_embedding_dim: int(dim),
  });
  return tape.op('Squeeze', [turned, first]);
}

/**
 * q [N, heads·d], k and v [N, kvHeads·d] → [N, heads·d]
 *
 *   q, k, v ─ Loop over rectangles: Gather(slots) ─ GroupQueryAttention ─ SequenceInsert
 *                                   └ Gather(past) ┘
 *           ─ ConcatFromSequence ─ Gather(places)
 */
function attend(tape: Tape, inputs: Inputs, layer: Attention, layout: Layout): Value {
  const { rectangles, places } = layout;
  const first = tape.constant('scalar_0', int64Tensor([0], []));
  const count = tape.op('Gather', [tape.op('Shape', [rectangles]), first], { axis: int(0) });
  const none = tape.op('SequenceEmpty', [], { dtype: int(1) });
  const done = { type: 'float32', shape: ['n', 'h'], isSequence: true } as const;
  const body = tape.subgraph(
    'rectangle',
    {
      inputs: { index: { type: 'int64', shape: [] }, goesOn: { type: 'bool', shape: [] }, done },
      outputs: { goesOnAfter: { type: 'bool', shape: [] }, doneAfter: done },
    },
    (inner, { index, goesOn, done }) => {
      const rectangle = readRectangle(inner, rectangles, index);
      const output = attendRectangle(inner, inputs, layer, { layout, rectangle });
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

type Inputs = Readonly<Record<'q' | 'k' | 'v', Value>>;

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

/**
 * The cache outputs are named though nothing reads them: with a single output the CPU kernel keeps all S² scores.
 * Heads whose size is no multiple of 8 are widened by zeros for the kernel: they add nothing to a product.
 */
function attendRectangle(
  tape: Tape,
  { q, k, v }: Inputs,
  layer: Attention,
  { layout, rectangle }: { layout: Layout; rectangle: Rectangle },
): Value {
  const { heads, kvHeads, headDim } = layer;
  const { rows, length, past, firstSlot, firstPast } = rectangle;
  const size = tape.op('Mul', [rows, length]);
  const slots = slice(tape, layout.slots, firstSlot, size);
  const before = slice(tape, layout.past, firstPast, past);
  const width = widened(headDim);
  const take = (x: Value, indices: Value, count: number) =>
    widen(tape, tape.op('Gather', [x, indices], { axis: int(0) }), count, layer);
  const queries = (x: Value, count: number) => {
    const shape = [rows, length, shapeConstant(tape, [count * width])];
    return tape.op('Reshape', [take(x, slots, count), tape.op('Concat', shape, { axis: int(0) })]);
  };
  const cached = (x: Value) => {
    const perHead = tape.op(
      'Reshape',
      [take(x, before, kvHeads), concat(tape, [past, kvHeads, width])],
      {
        allowzero: int(1),
      },
    );
    const turned = tape.op('Transpose', [perHead], { perm: ints(1, 0, 2) });
    const shape = concat(tape, [rows, kvHeads, past, width]);
    return tape.op('Reshape', [turned, shape], { allowzero: int(1) });
  };
  const total = tape.op('Cast', [tape.op('Add', [past, length])], { to: int(6) });
  const one = tape.constant('one', int32Tensor([1], [1]));
  const last = tape.op('Expand', [tape.op('Sub', [total, one]), rows]);
  const [output] = tape.ops(
    'GroupQueryAttention',
    [
      queries(q, heads),
      queries(k, kvHeads),
      queries(v, kvHeads),
      cached(k),
      cached(v),
      last,
      total,
    ],
    attributesOf(layer),
    ['output_0', 'present_key', 'present_value'],
  );
  return narrow(tape, output, layer);
}

const attributesOf = ({ heads, kvHeads, headDim, scale, softcap, window }: Attention) => ({
  num_heads: int(heads),
  kv_num_heads: int(kvHeads),
  scale: float(scale ?? 1 / Math.sqrt(headDim)),
  ...(softcap !== undefined && { softcap: float(softcap) }),
  ...(window !== undefined && { local_window_size: int(window) }),
});

/** x[first … first + count) */
function slice(tape: Tape, x: Value, first: Value, count: Value): Value {
  return tape.op('Slice', [x, first, tape.op('Add', [first, count])]);
}

const concat = (tape: Tape, parts: readonly (Value | number)[]): Value => {
  const values = parts.map((part) =>
    typeof part === 'number' ? shapeConstant(tape, [part]) : part,
  );
  return tape.op('Concat', values, { axis: int(0) });
};

const widened = (headDim: number): number => Math.ceil(headDim / 8) * 8;

/** x [n, count·d] → [n, count·widened(d)] */
function widen(tape: Tape, x: Value, count: number, { headDim }: Heads): Value {
  const width = widened(headDim);
  if (width === headDim) return x;
  const heads = tape.op('Reshape', [x, shapeConstant(tape, [-1, count, headDim])]);
  const pads = tape.constant(
    `pads_${width - headDim}`,
    int64Tensor([0, 0, 0, 0, 0, width - headDim], [6]),
  );
  const wide = tape.op('Pad', [heads, pads]);
  return tape.op('Reshape', [wide, shapeConstant(tape, [-1, count * width])]);
}

/** x [rows, length, heads·widened(d)] → [rows·length, heads·d] */
function narrow(tape: Tape, x: Value, { heads, headDim }: Heads): Value {
  const width = widened(headDim);
  const flat = (value: Value) =>
    tape.op('Reshape', [value, shapeConstant(tape, [-1, heads * headDim])]);
  if (width === headDim) return flat(x);
  const perHead = tape.op('Reshape', [x, shapeConstant(tape, [-1, heads, width])]);
  const ends = [shapeConstant(tape, [0]), shapeConstant(tape, [headDim]), shapeConstant(tape, [2])];
  return flat(tape.op('Slice', [perHead, ...ends]));
}
