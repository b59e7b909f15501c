// How a block gets at a weight, whatever its format. Knows operators, not files.
import { int, type Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';

/** A weight of two dimensions [N, K]: as the checkpoint has it, or in 8-bit blocks along K (see quant/int8.ts). */
export type Weight =
  | { readonly format: 'Float'; readonly tensor: Tensor }
  | {
      readonly format: 'Int8';
      readonly rows: number;
      readonly columns: number;
      readonly blockSize: number;
      /** uint8 [N, blocks, blockSize], zero is 128 */
      readonly codes: Tensor;
      /** float32 [N, blocks] */
      readonly scales: Tensor;
    };

/** The weights of a model by the names that its checkpoint gives them. */
export interface Weights {
  /** Of a linear layer, [N, K]. */
  matrix(name: string): Weight;
  /** Of an embedding, [V, h]. */
  table(name: string): Tensor;
  /** Of a norm or a bias, [n]. */
  vector(name: string): Tensor;
}

/** A constant in float32. The Cast is folded when the session is made, once. */
export function float32Constant(tape: Tape, name: string, tensor: Tensor): Value {
  const constant = tape.constant(name, tensor);
  return tensor.type === 'float32' ? constant : tape.op('Cast', [constant], { to: int(1) });
}

export interface Linear {
  readonly name: string;
  readonly weight: Weight;
  /** float32 [N] */
  readonly bias?: Value;
}

/** x [n, K] → x·Wᵀ + bias [n, N] */
export const linear = (tape: Tape, x: Value, layer: Linear): Value =>
  projection(tape, layer)(tape, x);

/**
 * `linear` in two steps: the constants belong to the graph of `tape`, the operator to that graph or one inside it.
 * A constant that stands in a subgraph is held twice by the runtime.
 *
 * Gemm reads the checkpoint's [N, K] as it is. MatMulNBits at level 0 computes with the dequantized weights and leaves
 * the activations alone: see docs/adr/0003-int8-accuracy.md.
 */
export function projection(
  tape: Tape,
  { name, weight, bias }: Linear,
): (at: Tape, x: Value) => Value {
  if (weight.format === 'Float') {
    const w = float32Constant(tape.at('weight'), name, weight.tensor);
    return (at, x) => at.op('Gemm', bias ? [x, w, bias] : [x, w], { transB: int(1) });
  }
  const codes = tape.constant(`${name}.codes`, weight.codes);
  const scales = tape.constant(`${name}.scales`, weight.scales);
  const optional = bias ? [undefined, undefined, bias] : [];
  const attributes = {
    N: int(weight.rows),
    K: int(weight.columns),
    bits: int(8),
    block_size: int(weight.blockSize),
    accuracy_level: int(0),
  };
  return (at, x) => at.op('MatMulNBits', [x, codes, scales, ...optional], attributes);
}

/** ids [n] → rows [n, h] float32. A 16-bit table stays in its file: only the gathered rows are cast. */
export function embedding(tape: Tape, ids: Value, name: string, table: Tensor): Value {
  const rows = tape.op('Gather', [tape.constant(name, table), ids], { axis: int(0) });
  return table.type === 'float32' ? rows : tape.op('Cast', [rows], { to: int(1) });
}
