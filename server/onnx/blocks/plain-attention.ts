// Attention in plain operators: for numbers and heads that no kernel of a provider takes, and to check kernels by.
// It holds all scores of a rectangle at once.
import { int, int64Tensor, ints } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import type { Target } from '../target.ts';
import type { Attention } from './attention.ts';
import { converted, floatConstant } from './numbers.ts';
import type { OneRectangle } from './rectangles.ts';
import { shapeOf, widened } from './shapes.ts';

/**
 * → [rows, length, heads·d], with group = heads / kvHeads and keys = past + length
 *
 *   q [rows, kvHeads, group, length, d] ─┐
 *   k [rows, kvHeads, 1, d, keys] ───────┴─ · scale ─ (softcap) ─ mask ─ Softmax ─┐
 *   v [rows, kvHeads, 1, keys, d] ────────────────────────────────────────────────┴─ ·
 */
export function attendPlainly(
  tape: Tape,
  { type }: Target,
  { inputs, cached, rows, length, past }: OneRectangle,
  layer: Attention,
): Value {
  const { heads, kvHeads, headDim } = layer;
  const width = widened(headDim);
  const split = (x: Value, parts: readonly number[], perm: readonly number[]) => {
    const shape = shapeOf(tape, [rows, length, ...parts, width]);
    return tape.op('Transpose', [tape.op('Reshape', [x, shape])], { perm: ints(...perm) });
  };
  const q = split(inputs.q, [kvHeads, heads / kvHeads], [0, 2, 3, 1, 4]);
  const whole = (own: Value, before: Value) => {
    const all = tape.op('Concat', [before, split(own, [kvHeads], [0, 2, 1, 3])], { axis: int(2) });
    return tape.op('Unsqueeze', [all, tape.constant('axis_2', int64Tensor([2], [1]))]);
  };
  const k = tape.op('Transpose', [whole(inputs.k, cached.k)], { perm: ints(0, 1, 2, 4, 3) });
  const v = whole(inputs.v, cached.v);
  const products = converted(tape, tape.op('MatMul', [q, k]), { from: type, to: 'float32' });
  const logits = capped(tape, products, layer);
  const nothing = floatConstant(tape, -3e38);
  const seen = mask(tape, { length, past }, layer.window);
  const shares = tape.op('Softmax', [tape.op('Where', [seen, logits, nothing])], { axis: int(-1) });
  const mixed = tape.op('MatMul', [converted(tape, shares, { from: 'float32', to: type }), v]);
  const turned = tape.op('Transpose', [mixed], { perm: ints(0, 3, 1, 2, 4) });
  return tape.op('Reshape', [turned, shapeOf(tape, [rows, length, heads * width])]);
}

/** Scaled, and softened where the model does so. */
function capped(tape: Tape, products: Value, { scale, headDim, softcap }: Attention): Value {
  const factor = floatConstant(tape, scale ?? 1 / Math.sqrt(headDim));
  const scaled = tape.op('Mul', [products, factor]);
  if (softcap === undefined) return scaled;
  const part = tape.op('Mul', [scaled, floatConstant(tape, 1 / softcap)]);
  return tape.op('Mul', [tape.op('Tanh', [part]), floatConstant(tape, softcap)]);
}

/** bool [length, keys]: query i stands at past + i, and sees keys up to there, `window` of them at most. */
function mask(
  tape: Tape,
  { length, past }: Readonly<Record<'length' | 'past', Value>>,
  window: number | undefined,
): Value {
  const scalar = (x: Value) => tape.op('Squeeze', [x]);
  const one = tape.constant('scalar_1', int64Tensor([1], []));
  const zero = tape.constant('scalar_0', int64Tensor([0], []));
  const keys = scalar(tape.op('Add', [past, length]));
  const key = tape.op('Range', [zero, keys, one]);
  const query = tape.op('Unsqueeze', [
    tape.op('Range', [scalar(past), keys, one]),
    tape.constant('axis_1', int64Tensor([1], [1])),
  ]);
  const isBefore = tape.op('LessOrEqual', [key, query]);
  if (window === undefined) return isBefore;
  const span = tape.constant(`scalar_${window}`, int64Tensor([window], []));
  return tape.op('And', [isBefore, tape.op('Greater', [tape.op('Add', [key, span]), query])]);
}
