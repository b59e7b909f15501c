// Feed-forward layers.
import { type Attributes, float, float32Tensor, int, string } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { linear } from './linear.ts';
import { typedConstant } from './numbers.ts';
import { at, type Scope } from './scope.ts';
import type { Linear } from './weights.ts';

/** By the names that stand in config.json. */
const activations = {
  silu: 'SiLU',
  swish: 'SiLU',
  relu: 'ReLU',
  gelu: 'GELU',
  gelu_new: 'TanhGELU',
  gelu_fast: 'TanhGELU',
  gelu_pytorch_tanh: 'TanhGELU',
  quick_gelu: 'QuickGELU',
} as const;
export type Activation = (typeof activations)[keyof typeof activations];

export const activationNames: readonly string[] = Object.keys(activations);

const isActivationName = (name: string): name is keyof typeof activations =>
  Object.hasOwn(activations, name);

export const activationNamed = (name: string): Activation | undefined =>
  isActivationName(name) ? activations[name] : undefined;

/** The operator QuickGelu is x·sigmoid(alpha·x): with alpha 1 it is SiLU in one pass. */
const operators: Readonly<Record<Activation, readonly [string, Attributes]>> = {
  SiLU: ['QuickGelu', { alpha: float(1) }],
  QuickGELU: ['QuickGelu', { alpha: float(1.702) }],
  ReLU: ['Relu', {}],
  GELU: ['Gelu', { approximate: string('none') }],
  TanhGELU: ['Gelu', { approximate: string('tanh') }],
};

function activate(tape: Tape, x: Value, activation: Activation): Value {
  const [type, attributes] = operators[activation];
  return tape.op(type, [x], attributes);
}

export type Mlp =
  | ({ readonly kind: 'Gated'; readonly gate: Linear; readonly up: Linear } & Shared)
  /** Gate and up are one matrix, gate first: Phi-3. */
  | ({ readonly kind: 'GatedFused'; readonly gateUp: Linear } & Shared)
  | ({ readonly kind: 'Plain'; readonly up: Linear } & Shared);

interface Shared {
  readonly down: Linear;
  readonly activation: Activation;
}

/**
 * x [n, h] → [n, h]
 *
 *   Gated                                     Plain
 *   x ─┬─ gate ── activation ─┐                x ── up ── activation ── down
 *      │                      · ── down
 *      └─ up ─────────────────┘
 */
export function mlp(scope: Scope, x: Value, layer: Mlp): Value {
  return linear(at(scope, 'down'), inner(scope, x, layer), layer.down);
}

function inner(scope: Scope, x: Value, layer: Mlp): Value {
  const { tape } = scope;
  if (layer.kind === 'Plain') {
    return activate(tape, linear(at(scope, 'up'), x, layer.up), layer.activation);
  }
  const [gate, up] =
    layer.kind === 'Gated'
      ? [linear(at(scope, 'gate'), x, layer.gate), linear(at(scope, 'up'), x, layer.up)]
      : halves(tape, linear(at(scope, 'gate_up'), x, layer.gateUp));
  if (layer.activation === 'SiLU' && scope.target.provider === 'CUDA') {
    return gatedByNorm(scope, { gate, up }, layer.down.columns);
  }
  return tape.op('Mul', [activate(tape, gate, layer.activation), up]);
}

/**
 * SiLU(gate) · up [n, width] in one pass over memory and with float32 in between: that is GatedRMSNorm,
 * up / √(mean(up²) + ε) · weight · SiLU(gate), where ε is so large that nothing but √ε is left below, and the weight
 * is √ε. Both are powers of two, so they cancel exactly while mean(up²) < ε / 2²⁵.
 */
function gatedByNorm(
  { tape, target }: Scope,
  { gate, up }: Record<'gate' | 'up', Value>,
  width: number,
): Value {
  const power = target.type === 'float16' ? 15 : 40; // float16 ends at 2¹⁶
  const tensor = float32Tensor(new Float32Array(width).fill(2 ** power), [width]);
  const name = `two_to_${power}_${width}`;
  const weight = typedConstant(tape, { name, tensor }, target.type);
  return tape.op('GatedRMSNorm', [up, weight, gate], { epsilon: float(2 ** (2 * power)) });
}

/** x [n, 2m] → its left and its right half. */
const halves = (tape: Tape, x: Value): readonly [Value, Value] =>
  tape.ops('Split', [x], { axis: int(1), num_outputs: int(2) }, ['left', 'right']);
