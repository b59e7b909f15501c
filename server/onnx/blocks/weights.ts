// How a block gets at a weight, whatever its format. Knows operators, not files.
import { int, type Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { converted, typedConstant } from './numbers.ts';
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

/** A product x·Wᵀ with a weight, in the graph of the weight or in one inside it. */
export type Product = (at: Tape, x: Value) => Value;

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

export const weightName = (layer: Linear): string => layer.tiedTo ?? `${layer.name}.weight`;

/** A linear layer of a checkpoint: `<name>.weight`, and `<name>.bias` when it has one. */
export interface Linear extends MatrixShape {
  readonly name: string;
  readonly hasBias?: boolean;
  /** Where the weight of another layer serves, the full name of that: a head that is tied to the embedding. */
  readonly tiedTo?: string;
}

/** A constant in the numbers of the graph. */
export const inNumbers = ({ tape, target }: Scope, name: string, tensor: Tensor): Value =>
  typedConstant(tape, { name, tensor }, target.type);

/** The vector `name` [n]. */
export const vector = (scope: Scope, name: string, length: number): Value =>
  inNumbers(scope, name, scope.weights.vector(name, length));

/**
 * ids [n] → rows [n, h]. For the CPU a table stays as it is in its file, and only the gathered rows are cast; in the
 * memory of a device it is one with the weight of a tied head.
 */
export function embedding(scope: Scope, ids: Value, name: string, shape: MatrixShape): Value {
  const { tape, target } = scope;
  const weight = scope.weights.table(name, shape);
  if (weight.format === 'Float') {
    const { tensor } = weight;
    const isOnDevice = target.provider === 'CUDA';
    const whole = isOnDevice ? inNumbers(scope, name, tensor) : tape.constant(name, tensor);
    const rows = tape.op('Gather', [whole, ids], { axis: int(0) });
    const from = isOnDevice ? target.type : tensor.type;
    return converted(tape, rows, { from, to: target.type });
  }
  const { codes } = weight;
  const [rows = 0, blocks = 0, blockBytes = 0] = codes.shape;
  // The same bytes under another shape: a Flatten of them would be folded, to a copy.
  const byRow = { ...codes, shape: [rows, blocks * blockBytes] };
  const flat = tape.constant(`${name}.codes by row`, byRow);
  const scales = inNumbers(scope, `${name}.scales`, weight.scales);
  return tape.op('GatherBlockQuantized', [flat, ids, scales], {
    bits: int(weight.bits),
    block_size: int(weight.blockSize),
    gather_axis: int(0),
    quantize_axis: int(1),
  });
}
