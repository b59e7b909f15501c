// What is asked of a thread that rounds weights, and what it does. Pure.
import { allocateBlocks, type Blocks } from '../../quant/blocks.ts';
import { roundTileRows } from '../../quant/gptq.ts';
import { quantizeInt4 } from '../../quant/int4.ts';
import { quantizeInt8 } from '../../quant/int8.ts';
import type { Matrix } from '../../quant/matrix.ts';
import { type Nf4Blocks, quantizeNf4 } from '../../quant/nf4.ts';
import type { BlockFormat } from './plan.ts';

/** Some rows, each weight by itself. */
export interface QuantizeTask {
  readonly kind: 'Quantize';
  readonly format: BlockFormat;
  readonly weights: Matrix;
}

/** Some rows of a tile, cut out of their matrix: see TileRows of quant/gptq.ts. */
export interface RoundTask {
  readonly kind: 'Round';
  readonly errors: Matrix;
  readonly feedback: Float32Array;
  readonly lower: Float32Array;
  readonly importance: Float32Array;
}

export type Task = QuantizeTask | RoundTask;

export interface Rounded extends Pick<Blocks, 'codes'> {
  readonly scales: (Blocks | Nf4Blocks)['scales'];
  /** Of a RoundTask: what is left. */
  readonly errors?: Float32Array;
}

export function perform(task: Task): Rounded {
  if (task.kind === 'Quantize') return quantize(task);
  const { errors, feedback, lower, importance } = task;
  const into = allocateBlocks(errors.rows, errors.columns, 4);
  const rows = { from: 0, to: errors.rows };
  const columns = { from: 0, to: errors.columns };
  roundTileRows({ rows, columns, errors, feedback, lower, importance, into });
  return { ...into, errors: errors.values };
}

function quantize({ format, weights: { values, columns } }: QuantizeTask): Rounded {
  if (format === 'NF4') return quantizeNf4(values);
  return format === 'Int8' ? quantizeInt8(values, columns) : quantizeInt4(values, columns);
}
