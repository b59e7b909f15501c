// The numbers of a graph: casts between types, and factors that 16 bits would round.
import { dataTypes, type ElementType, float32Tensor, int, type Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import type { Target } from '../target.ts';

export const castTo = (tape: Tape, x: Value, type: ElementType): Value =>
  tape.op('Cast', [x], { to: int(dataTypes[type]) });

/** `x`, which is of type `from`, as `to`. */
export const converted = (
  tape: Tape,
  x: Value,
  { from, to }: { from: ElementType; to: ElementType },
): Value => (from === to ? x : castTo(tape, x, to));

/** A constant in numbers of `type`. The Cast is folded when the session is made, once. */
export function typedConstant(
  tape: Tape,
  { name, tensor }: { name: string; tensor: Tensor },
  type: ElementType,
): Value {
  const constant = tape.constant(name, tensor);
  if (tensor.type === type) return constant;
  return tape.once(`${type} ${constant.name}`, () => castTo(tape, constant, type));
}

/** What `compute` makes of x, both in the graph's numbers, with float32 between. */
export function inFloat32(
  tape: Tape,
  { type }: Target,
  x: Value,
  compute: (x: Value) => Value,
): Value {
  const wide = converted(tape, x, { from: type, to: 'float32' });
  return converted(tape, compute(wide), { from: 'float32', to: type });
}

/** x · factor. A factor of 16 bits would be another one, so the product is that of float32. */
export const times = (tape: Tape, target: Target, x: Value, factor: number): Value =>
  inFloat32(tape, target, x, (wide) => tape.op('Mul', [wide, floatConstant(tape, factor)]));

/** float32 [1] */
export const floatConstant = (tape: Tape, value: number): Value =>
  tape.constant(`float_${value}`, float32Tensor(Float32Array.of(value), [1]));
