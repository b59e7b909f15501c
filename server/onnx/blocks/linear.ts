// Linear layers: products with a weight, whatever its format.
import { zeroCode } from '../../quant/blocks.ts';
import { int, int64Tensor, type Port } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { eightBits } from './eight-bits.ts';
import { castTo, converted, floatConstant } from './numbers.ts';
import type { Scope } from './scope.ts';
import {
  type BlockWeight,
  inNumbers,
  type Linear,
  type NormalFloatWeight,
  type Product,
  vector,
  type Weight,
  weightName,
} from './weights.ts';

/** x [n, K] → x·Wᵀ + bias [n, N] */
export function linear(scope: Scope, x: Value, layer: Linear): Value {
  scope.observe(layer, x);
  return projection(scope, layer)(scope.tape, x);
}

/**
 * `linear` in two steps: the constants belong to the graph of `scope`, the operator to that graph or one inside it.
 * A constant that stands in a subgraph is held twice by the runtime. `isRepeated`: it is used many times in a pass.
 */
export function projection(
  scope: Scope,
  layer: Linear,
  { isRepeated = false }: { isRepeated?: boolean } = {},
): Product {
  const name = weightName(layer);
  const weight = scope.weights.matrix(name, layer);
  const bias = biasOf(scope, layer);
  if (weight.format === 'Float') {
    return gemm(inNumbers(scope, name, weight.tensor), { ...weight, bias });
  }
  // The kernel for CUDA dequantizes all of a weight at each use.
  if (isRepeated && scope.target.provider === 'CUDA' && isWholeBytes(weight)) {
    return gemm(dequantized(scope, name, weight), { bias });
  }
  return biased(coded(scope, name, weight), bias);
}

function coded(scope: Scope, name: string, weight: Exclude<Weight, { format: 'Float' }>): Product {
  if (weight.format === 'NormalFloat') return normal(scope, name, weight);
  const isExact = weight.bits === 8 && !weight.roundsActivations;
  if (isExact && scope.target.provider === 'CPU') return eightBits(scope, name, weight);
  return blocks(blockConstants(scope, name, weight), weight);
}

const biasOf = (scope: Scope, { name, rows, hasBias }: Linear): Value | undefined =>
  hasBias ? vector(scope, `${name}.bias`, rows) : undefined;

const biased = (product: Product, bias: Value | undefined): Product =>
  bias ? (at, x) => at.op('Add', [product(at, x), bias]) : product;

/** Gemm reads a checkpoint's [N, K] as it is. */
function gemm(w: Value, { isTransposed, bias }: { isTransposed?: boolean; bias?: Value }): Product {
  const attributes = { transB: int(isTransposed ? 0 : 1) };
  return (at, x) => at.op('Gemm', bias ? [x, w, bias] : [x, w], attributes);
}

type BlockConstants = Readonly<Record<'codes' | 'scales', Value>>;

const blockConstants = (scope: Scope, name: string, weight: BlockWeight): BlockConstants => ({
  codes: scope.tape.constant(`${name}.codes`, weight.codes),
  scales: inNumbers(scope, `${name}.scales`, weight.scales),
});

type BlockShape = Omit<BlockWeight, 'format' | 'codes' | 'scales'>;

/** Level 0 computes with the dequantized weights and leaves the activations alone: see docs/quantization.md. */
function blocks({ codes, scales }: BlockConstants, shape: BlockShape): Product {
  const attributes = {
    N: int(shape.rows),
    K: int(shape.columns),
    bits: int(shape.bits),
    block_size: int(shape.blockSize),
    accuracy_level: int(shape.roundsActivations ? 4 : 0),
  };
  return (at, x) => at.op('MatMulNBits', [x, codes, scales], attributes);
}

function normal(scope: Scope, name: string, weight: NormalFloatWeight): Product {
  const codes = scope.tape.constant(`${name}.codes`, weight.codes);
  const scales = inNumbers(scope, `${name}.scales`, weight.scales);
  const attributes = {
    N: int(weight.rows),
    K: int(weight.columns),
    block_size: int(weight.blockSize),
    quant_type: int(1), // NF4
  };
  return (at, x) => at.op('MatMulBnb4', [x, codes, scales], attributes);
}

const isWholeBytes = (weight: Weight): weight is BlockWeight =>
  weight.format === 'Blocks' && weight.bits === 8 && weight.columns % weight.blockSize === 0;

/**
 * Three zeros: a shape that Reshape leaves as it is. What follows from constants alone the runtime computes when the
 * session is made, on the host, and holds it: of a weight that is as large as a head, that takes seconds and gigabytes.
 */
export const keptShape = { name: 'kept_shape', type: 'int64', shape: [3] } as const satisfies Port;

/** The weight itself [N, K]: (code - zero) · scale, in the numbers of the graph. Once in a graph. */
function dequantized(scope: Scope, name: string, weight: BlockWeight): Value {
  const { tape, target } = scope;
  const { rows, columns } = weight;
  const constants = blockConstants(scope, name, weight);
  const codes = tape.op('Reshape', [constants.codes, tape.input(keptShape)]);
  const { scales } = constants;
  const zero = converted(tape, floatConstant(tape, zeroCode(8)), {
    from: 'float32',
    to: target.type,
  });
  const steps = tape.op('Sub', [castTo(tape, codes, target.type), zero]);
  const last = tape.constant('axis_2', int64Tensor([2], [1]));
  const whole = tape.op('Mul', [steps, tape.op('Unsqueeze', [scales, last])]);
  const shape = tape.constant(`shape_${rows}_${columns}`, int64Tensor([rows, columns], [2]));
  return tape.op('Reshape', [whole, shape]);
}

/**
 * `projection` with its outputs in another order; nothing where that would take the weight apart. The rows of the
 * weight are moved once, when the session is made.
 */
export function reordered(
  scope: Scope,
  layer: Linear,
  order: readonly number[],
): Product | undefined {
  const { tape } = scope;
  const name = weightName(layer);
  const weight = scope.weights.matrix(name, layer);
  if (weight.format === 'NormalFloat') return undefined;
  const rows = tape.constant(`order_${order.length}`, int64Tensor(order, [order.length]));
  const moved = (value: Value, axis = 0) => tape.op('Gather', [value, rows], { axis: int(axis) });
  const given = biasOf(scope, layer);
  const bias = given && moved(given);
  if (weight.format === 'Float') {
    const { isTransposed } = weight;
    const w = moved(inNumbers(scope, name, weight.tensor), isTransposed ? 1 : 0);
    return gemm(w, { isTransposed, bias });
  }
  const { codes, scales } = blockConstants(scope, name, weight);
  return biased(blocks({ codes: moved(codes), scales: moved(scales) }, weight), bias);
}

/**
 * Layers that read the same x as one product [n, N₁ + N₂ + …]; nothing where their weights are not alike. The weights
 * are joined once, when the session is made.
 */
export function joined(scope: Scope, layers: readonly Linear[]): Product | undefined {
  const biases = layers.filter(({ hasBias }) => hasBias).length;
  if (biases > 0 && biases < layers.length) return undefined;
  const parts = layers.map((layer) => {
    const name = weightName(layer);
    return { name, weight: scope.weights.matrix(name, layer) };
  });
  return joinedFloats(scope, parts, layers) ?? joinedBlocks(scope, parts, layers);
}

type Part = { readonly name: string; readonly weight: Weight };

function joinedFloats(scope: Scope, parts: readonly Part[], layers: readonly Linear[]) {
  const found = parts.flatMap(({ name, weight }) =>
    weight.format === 'Float' ? [{ name, ...weight }] : [],
  );
  const isTransposed = found[0]?.isTransposed ?? false;
  const areAlike = found.every((weight) => (weight.isTransposed ?? false) === isTransposed);
  if (found.length < parts.length || !areAlike) return undefined;
  const weights = found.map(({ name, tensor }) => inNumbers(scope, name, tensor));
  const w = concat(scope.tape, weights, isTransposed ? 1 : 0);
  return gemm(w, { isTransposed, bias: joinedBias(scope, layers) });
}

function joinedBlocks(scope: Scope, parts: readonly Part[], layers: readonly Linear[]) {
  const found = parts.flatMap(({ name, weight }) =>
    weight.format === 'Blocks' ? [{ name, weight }] : [],
  );
  const [first] = found;
  const areAlike = found.every(({ weight }) => weight.bits === first?.weight.bits);
  if (!first || found.length < parts.length || !areAlike) return undefined;
  const constants = found.map(({ name, weight }) => blockConstants(scope, name, weight));
  const all = {
    codes: concat(
      scope.tape,
      constants.map(({ codes }) => codes),
    ),
    scales: concat(
      scope.tape,
      constants.map(({ scales }) => scales),
    ),
  };
  const rows = found.reduce((sum, { weight }) => sum + weight.rows, 0);
  return biased(blocks(all, { ...first.weight, rows }), joinedBias(scope, layers));
}

function joinedBias(scope: Scope, layers: readonly Linear[]): Value | undefined {
  const biases = layers.flatMap((layer) => biasOf(scope, layer) ?? []);
  return biases.length > 0 ? concat(scope.tape, biases) : undefined;
}

const concat = (tape: Tape, values: readonly Value[], axis = 0): Value =>
  tape.op('Concat', values, { axis: int(axis) });
