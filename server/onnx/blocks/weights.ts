// How a block gets at a weight, whatever its format. Knows operators, not files.
import { int, type Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import type { Scope } from './scope.ts';

/** Numbers as a checkpoint has them. */
interface FloatWeight {
  readonly format: 'Float';
  readonly tensor: Tensor;
  /** Stored as [K, N]. */
  readonly isTransposed?: boolean;
}

/** Blocks of `bits`-bit codes along K, a zero point in their middle and one scale each (see quant/). */
export interface BlockWeight {
  readonly format: 'Blocks';
  readonly bits: 4 | 8;
  readonly rows: number;
  readonly columns: number;
  readonly blockSize: number;
  /** uint8 [N, blocks, blockSize · bits / 8], the low half of a byte first */
  readonly codes: Tensor;
  /** bfloat16 [N, blocks] */
  readonly scales: Tensor;
  /** The CPU kernel rounds activations to 8 bits per block as well: faster, less exact. */
  readonly roundsActivations: boolean;
}

/** The 4-bit normal floats of bitsandbytes: flat blocks of 64. */
export interface NormalFloatWeight {
  readonly format: 'NormalFloat';
  readonly rows: number;
  readonly columns: number;
  readonly blockSize: number;
  /** uint8 [N · K / 2], the high half of a byte first */
  readonly codes: Tensor;
  /** float32 [N · K / blockSize] */
  readonly scales: Tensor;
}

/** A weight of two dimensions, [N, K]. */
export type Weight = FloatWeight | BlockWeight | NormalFloatWeight;

export interface MatrixShape {
  /** N, the outputs. */
  readonly rows: number;
  /** K, the inputs. */
  readonly columns: number;
  /** Stored as [K, N]: the Conv1D of GPT-2. */
  readonly isTransposed?: boolean;
  /** Small and decisive: never quantized. */
  readonly isExact?: boolean;
  /** Small, and worth 8 bits where others get 4. */
  readonly isSensitive?: boolean;
  /** Rounding what it multiplies as well costs little: see docs/quantization.md. */
  readonly isTolerant?: boolean;
}

/** The weights of a model by the names that its checkpoint gives them; the shape is what the graph needs. */
export interface Weights {
  /** Of a linear layer. */
  matrix(name: string, shape: MatrixShape): Weight;
  /** Of an embedding, [V, h]. */
  table(name: string, shape: MatrixShape): Exclude<Weight, NormalFloatWeight>;
  /** Of a norm or a bias, [n]. */
  vector(name: string, length: number): Tensor;
}

/** Rows `from` … `to` - 1 of the layer's matrix and bias; everything else as it is. */
export function sliceRows(
  weights: Weights,
  layer: Linear,
  { from, to }: { from: number; to: number },
): Weights {
  const share = (tensor: Tensor): Tensor => sliceTensor(tensor, layer.rows, { from, to });
  const name = weightName(layer);
  return {
    ...weights,
    matrix(asked, shape) {
      const weight = weights.matrix(asked, asked === name ? { ...shape, rows: layer.rows } : shape);
      if (asked !== name) return weight;
      if (weight.format === 'Float') return { ...weight, tensor: share(weight.tensor) };
      const { codes, scales } = weight;
      return { ...weight, rows: to - from, codes: share(codes), scales: share(scales) };
    },
    vector(asked, length) {
      if (asked !== `${layer.name}.bias`) return weights.vector(asked, length);
      return share(weights.vector(asked, layer.rows));
    },
  };
}

/** A part of a tensor in a file whose bytes fall into `rows` equal runs. */
function sliceTensor(
  { type, shape, data }: Tensor,
  rows: number,
  { from, to }: { from: number; to: number },
): Tensor {
  if (data instanceof Uint8Array) throw new RangeError('only tensors in files are sliced');
  const bytes = data.length / rows;
  const range = {
    file: data.file,
    offset: data.offset + from * bytes,
    length: (to - from) * bytes,
  };
  const [first = 1, ...rest] = shape;
  return { type, shape: [(first / rows) * (to - from), ...rest], data: range };
}

const weightName = (layer: Linear): string => layer.tiedTo ?? `${layer.name}.weight`;

/** A linear layer of a checkpoint: `<name>.weight`, and `<name>.bias` when it has one. */
export interface Linear extends MatrixShape {
  readonly name: string;
  readonly hasBias?: boolean;
  /** Where the weight of another layer serves, the full name of that: a head that is tied to the embedding. */
  readonly tiedTo?: string;
}

/** A constant in float32. The Cast is folded when the session is made, once. */
function asFloat32(tape: Tape, name: string, tensor: Tensor): Value {
  const constant = tape.constant(name, tensor);
  if (tensor.type === 'float32') return constant;
  return tape.once(`float32 ${constant.name}`, () => tape.op('Cast', [constant], { to: int(1) }));
}

/** The vector `name` in float32 [n]. */
export const vector = ({ tape, weights }: Scope, name: string, length: number): Value =>
  asFloat32(tape, name, weights.vector(name, length));

/** x [n, K] → x·Wᵀ + bias [n, N] */
export function linear(scope: Scope, x: Value, layer: Linear): Value {
  scope.observe(layer, x);
  return projection(scope, layer)(scope.tape, x);
}

/**
 * `linear` in two steps: the constants belong to the graph of `scope`, the operator to that graph or one inside it.
 * A constant that stands in a subgraph is held twice by the runtime.
 *
 * Gemm reads the checkpoint's [N, K] as it is.
 */
export function projection(scope: Scope, layer: Linear): (at: Tape, x: Value) => Value {
  const { tape, weights } = scope;
  const name = weightName(layer);
  const weight = weights.matrix(name, layer);
  const bias = layer.hasBias ? vector(scope, `${layer.name}.bias`, layer.rows) : undefined;
  if (weight.format === 'Float') {
    const w = asFloat32(tape, name, weight.tensor);
    const attributes = { transB: int(weight.isTransposed ? 0 : 1) };
    return (at, x) => at.op('Gemm', bias ? [x, w, bias] : [x, w], attributes);
  }
  const product =
    weight.format === 'Blocks' ? blocks(tape, name, weight) : normal(tape, name, weight);
  return (at, x) => (bias ? at.op('Add', [product(at, x), bias]) : product(at, x));
}

/** Level 0 computes with the dequantized weights and leaves the activations alone: see docs/quantization.md. */
function blocks(tape: Tape, name: string, weight: BlockWeight): (at: Tape, x: Value) => Value {
  const codes = tape.constant(`${name}.codes`, weight.codes);
  const scales = asFloat32(tape, `${name}.scales`, weight.scales);
  const attributes = {
    N: int(weight.rows),
    K: int(weight.columns),
    bits: int(weight.bits),
    block_size: int(weight.blockSize),
    accuracy_level: int(weight.roundsActivations ? 4 : 0),
  };
  return (at, x) => at.op('MatMulNBits', [x, codes, scales], attributes);
}

function normal(
  tape: Tape,
  name: string,
  weight: NormalFloatWeight,
): (at: Tape, x: Value) => Value {
  const codes = tape.constant(`${name}.codes`, weight.codes);
  const scales = asFloat32(tape, `${name}.scales`, weight.scales);
  const attributes = {
    N: int(weight.rows),
    K: int(weight.columns),
    block_size: int(weight.blockSize),
    quant_type: int(1), // NF4
  };
  return (at, x) => at.op('MatMulBnb4', [x, codes, scales], attributes);
}

/** ids [n] → rows [n, h] float32. A 16-bit table stays in its file: only the gathered rows are cast. */
export function embedding(scope: Scope, ids: Value, name: string, shape: MatrixShape): Value {
  const { tape } = scope;
  const weight = scope.weights.table(name, shape);
  if (weight.format === 'Float') {
    const rows = tape.op('Gather', [tape.constant(name, weight.tensor), ids], { axis: int(0) });
    return weight.tensor.type === 'float32' ? rows : tape.op('Cast', [rows], { to: int(1) });
  }
  const codes = tape.constant(`${name}.codes`, weight.codes);
  const flat = tape.op('Flatten', [codes], { axis: int(1) });
  const scales = asFloat32(tape, `${name}.scales`, weight.scales);
  return tape.op('GatherBlockQuantized', [flat, ids, scales], {
    bits: int(weight.bits),
    block_size: int(weight.blockSize),
    gather_axis: int(0),
    quantize_axis: int(1),
  });
}
