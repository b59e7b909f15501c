// The gated feed-forward layer of Llama-like models.
import { float } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { type Linear, linear } from './weights.ts';

/**
 * x [n, h] → [n, h]
 *
 *   x ─┬─ gate_proj ── SiLU ─┐
 *      │                     · ── down_proj
 *      └─ up_proj ───────────┘
 *
 * QuickGelu is x·sigmoid(alpha·x): with alpha 1 it is SiLU in one pass.
 */
export function gatedMlp(
  tape: Tape,
  x: Value,
  layers: Record<'gate' | 'up' | 'down', Linear>,
): Value {
  const gate = linear(tape.at('gate_proj'), x, layers.gate);
  const up = linear(tape.at('up_proj'), x, layers.up);
  const activated = tape.op('QuickGelu', [gate], { alpha: float(1) });
  return linear(tape.at('down_proj'), tape.op('Mul', [activated, up]), layers.down);
}
