// Normalization of rows, alone and after a residual sum.
// Sources: Layer Normalization (arXiv:1607.06450), Root Mean Square Layer Normalization (arXiv:1910.07467).
import { float, int } from '../graph.ts';
import type { Value } from '../tape.ts';
import { floatConstant, inFloat32 } from './numbers.ts';
import { exactly, type Scope } from './scope.ts';
import { vector } from './weights.ts';

/** `<name>.weight`, and `<name>.bias` for Layer. */
export interface Norm {
  readonly name: string;
  readonly kind: 'RMS' | 'Layer';
  readonly length: number;
  readonly epsilon: number;
  /** The checkpoint holds weight - 1: Gemma. */
  readonly isShifted?: boolean;
}

/** Of a shifted norm only in float32: see `needsFloat32`. */
function scale(scope: Scope, { name, length, isShifted }: Norm): Value {
  const weight = vector(scope, `${name}.weight`, length);
  if (!isShifted) return weight;
  return scope.tape.op('Add', [weight, floatConstant(scope.tape, 1)]); // folded when the session is made
}

/** 16 bits would round weight + 1. */
const needsFloat32 = ({ target }: Scope, { isShifted }: Norm): boolean =>
  isShifted === true && target.type !== 'float32';

const bias = (scope: Scope, { name, length }: Norm): Value => vector(scope, `${name}.bias`, length);

/** x [n, h] → [n, h]. RMS: x / √(mean(x²) + ε) · weight; Layer: (x - mean) / √(variance + ε) · weight + bias. */
export function normalize(scope: Scope, x: Value, norm: Norm): Value {
  if (needsFloat32(scope, norm)) {
    return inFloat32(scope.tape, scope.target, x, (wide) => normalize(exactly(scope), wide, norm));
  }
  const attributes = { axis: int(-1), epsilon: float(norm.epsilon), stash_type: int(1) };
  const weight = scale(scope, norm);
  return norm.kind === 'RMS'
    ? scope.tape.op('SimplifiedLayerNormalization', [x, weight], attributes)
    : scope.tape.op('LayerNormalization', [x, weight, bias(scope, norm)], attributes);
}

/**
 * residual [n, h], delta [n, h] → their sum, and its norm.
 *
 *   residual ─┐
 *             + ──┬── norm ── normed
 *      delta ─┘   └────────── sum
 */
export function addAndNormalize(
  scope: Scope,
  residual: Value,
  delta: Value,
  norm: Norm,
): { normed: Value; sum: Value } {
  if (needsFloat32(scope, norm)) {
    const sum = scope.tape.op('Add', [residual, delta]);
    return { normed: normalize(scope, sum, norm), sum };
  }
  const weight = scale(scope, norm);
  const [type, inputs] =
    norm.kind === 'RMS'
      ? (['SkipSimplifiedLayerNormalization', [weight]] as const)
      : (['SkipLayerNormalization', [weight, bias(scope, norm)]] as const);
  const [normed, , , sum] = scope.tape.ops(
    type,
    [residual, delta, ...inputs],
    { epsilon: float(norm.epsilon) },
    ['output_0', '', '', 'output_3'],
  );
  return { normed, sum };
}
