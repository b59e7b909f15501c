// Causal attention over packed tokens: every other operator sees the real tokens of a batch only, [N, …]. How they are
// laid out around the attention itself depends on what runs the graph: see rectangles.ts and pages.ts beside this.
import { int, int64Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { linear } from './linear.ts';
import { type Norm, normalize } from './norm.ts';
import { attendPages, type Pages } from './pages.ts';
import { attendRectangles, type Rectangles } from './rectangles.ts';
import { at, type Scope } from './scope.ts';
import { shapeConstant } from './shapes.ts';
import type { Linear } from './weights.ts';

/** The angles of a rope, in the numbers of the graph. */
export type Rotation = TokenRotation | TableRotation;

interface Angles {
  readonly cos: Value;
  readonly sin: Value;
  /** How many leading numbers of a head are rotated. */
  readonly dim: number;
}

/** A row [dim/2] for each packed token. */
export interface TokenRotation extends Angles {
  readonly of: 'Tokens';
}

/** A row [dim/2] for each position from 0 on. */
export interface TableRotation extends Angles {
  readonly of: 'Positions';
  /** int64 [1, n]: which of them each packed token has. */
  readonly positions: Value;
}

/** Which tokens attend to which. */
export type Layout = Rectangles | Pages;

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

/** q [N, heads·d], k and v [N, kvHeads·d] */
export type Inputs = Readonly<Record<'q' | 'k' | 'v', Value>>;

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
  { layout, rotation }: { layout: Layout; rotation?: Rotation },
): Value {
  const inputs = () => attentionInputs(scope, x, layer, rotation);
  const mixed =
    layout.kind === 'Rectangles'
      ? attendRectangles(scope, inputs(), layer, layout)
      : attendPages(scope, x, layer, { pages: layout, rotation, inputs });
  return linear(at(scope, 'o'), mixed, layer.output);
}

/** Normalized, and rotated where the angles are those of tokens. */
function attentionInputs(scope: Scope, x: Value, layer: Attention, rotation?: Rotation): Inputs {
  const { heads, kvHeads, headDim } = layer;
  const { q, k, v } = projected(scope, x, layer);
  const side = (name: string, value: Value, count: number, norm?: Norm) => {
    const inner = at(scope, name);
    const normed = norm ? normalizeHeads(inner, value, norm, count * headDim) : value;
    return rotation?.of === 'Tokens' ? rotate(inner.tape, normed, rotation, count) : normed;
  };
  return { q: side('q', q, heads, layer.qNorm), k: side('k', k, kvHeads, layer.kNorm), v };
}

function projected(scope: Scope, x: Value, layer: Attention): Inputs {
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

/** x [N, width], over runs of as many numbers as the norm has. */
function normalizeHeads(scope: Scope, x: Value, norm: Norm, width: number): Value {
  if (norm.length === width) return normalize(scope, x, norm);
  const { tape } = scope;
  const rows = tape.op('Reshape', [x, shapeConstant(tape, [-1, norm.length])]);
  return tape.op('Reshape', [normalize(scope, rows, norm), shapeConstant(tape, [-1, width])]);
}

/** x [N, heads·d]: row i is turned by row i of the tables. */
function rotate(tape: Tape, x: Value, { cos, sin, dim }: TokenRotation, heads: number): Value {
  const first = tape.constant('index_0', int64Tensor([0], [1]));
  const one = tape.op('Unsqueeze', [x, first]); // [1, N, heads·d]
  const turned = tape.op('RotaryEmbedding', [one, first, cos, sin], {
    num_heads: int(heads),
    rotary_embedding_dim: int(dim),
  });
  return tape.op('Squeeze', [turned, first]);
}
