// Shapes as values of a graph, and heads as wide as the kernels of attention want them.
import { int, int64Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import type { Target } from '../target.ts';
import { inFloat32 } from './numbers.ts';

export const shapeConstant = (tape: Tape, shape: readonly number[]): Value =>
  tape.constant(`shape_${shape.join('_')}`, int64Tensor(shape, [shape.length]));

/** int64 [1] each → int64 [parts] */
export const shapeOf = (tape: Tape, parts: readonly (Value | number)[]): Value => {
  const values = parts.map((part) =>
    typeof part === 'number' ? shapeConstant(tape, [part]) : part,
  );
  return tape.op('Concat', values, { axis: int(0) });
};

/** Kernels take heads of whole eights. */
export const widened = (headDim: number): number => Math.ceil(headDim / 8) * 8;

/** x [n, count·d] → [n, count·widened(d)]: zeros at the end of each head, which add nothing to a product. */
export function widen(
  tape: Tape,
  x: Value,
  { count, headDim, target }: { count: number; headDim: number; target: Target },
): Value {
  const width = widened(headDim);
  if (width === headDim) return x;
  const heads = tape.op('Reshape', [x, shapeConstant(tape, [-1, count, headDim])]);
  const pads = tape.constant(
    `pads_${width - headDim}`,
    int64Tensor([0, 0, 0, 0, 0, width - headDim], [6]),
  );
  // CUDA pads no bfloat16.
  const wide = inFloat32(tape, target, heads, (heads) => tape.op('Pad', [heads, pads]));
  return tape.op('Reshape', [wide, shapeConstant(tape, [-1, count * width])]);
}

/** x [… n, heads·widened(d)] → [n, heads·d] */
export function narrow(
  tape: Tape,
  x: Value,
  { heads, headDim }: { heads: number; headDim: number },
): Value {
  const width = widened(headDim);
  const flat = (value: Value) =>
    tape.op('Reshape', [value, shapeConstant(tape, [-1, heads * headDim])]);
  if (width === headDim) return flat(x);
  const perHead = tape.op('Reshape', [x, shapeConstant(tape, [-1, heads, width])]);
  const ends = [shapeConstant(tape, [0]), shapeConstant(tape, [headDim]), shapeConstant(tape, [2])];
  return flat(tape.op('Slice', [perHead, ...ends]));
}
