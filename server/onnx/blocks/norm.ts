// Root mean square normalization, alone and after a residual sum.
import { float, int } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';

export interface Norm {
  /** float32 [h] */
  readonly weight: Value;
  readonly epsilon: number;
}

/** x [n, h] → x / √(mean(x²) + ε) · weight */
export const rmsNorm = (tape: Tape, x: Value, { weight, epsilon }: Norm): Value =>
  tape.op('SimplifiedLayerNormalization', [x, weight], {
    axis: int(-1),
    epsilon: float(epsilon),
    stash_type: int(1),
  });

/**
 * residual [n, h], delta [n, h] → their sum, and its norm.
 *
 *   residual ─┐
 *             + ──┬── norm ── normed
 *      delta ─┘   └────────── sum
 */
export function addRmsNorm(
  tape: Tape,
  residual: Value,
  delta: Value,
  { weight, epsilon }: Norm,
): { normed: Value; sum: Value } {
  const [normed, , , sum] = tape.ops(
    'SkipSimplifiedLayerNormalization',
    [residual, delta, weight],
    { epsilon: float(epsilon) },
    ['output_0', '', '', 'output_3'],
  );
  return { normed, sum };
}
