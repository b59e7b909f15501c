// Rounds weights to the codes of a format.
import type { Blocks } from '../../quant/blocks.ts';
import { type RoundTile, roundTileRows } from '../../quant/gptq.ts';
import { quantizeInt4 } from '../../quant/int4.ts';
import { quantizeInt8 } from '../../quant/int8.ts';
import type { Matrix } from '../../quant/matrix.ts';
import { type Nf4Blocks, quantizeNf4 } from '../../quant/nf4.ts';
import type { BlockFormat } from './plan.ts';

export interface Quantizer extends AsyncDisposable {
  readonly quantize: (
    format: BlockFormat,
    weights: Matrix,
    signal: AbortSignal,
  ) => Promise<Blocks | Nf4Blocks>;
  readonly roundTile: RoundTile;
}

export function openQuantizer(_threads: number): Quantizer {
  return {
    async quantize(format, { values, columns }) {
      if (format === 'NF4') return quantizeNf4(values);
      return format === 'Int8' ? quantizeInt8(values, columns) : quantizeInt4(values, columns);
    },
    async roundTile(tile) {
      roundTileRows({ ...tile, rows: { from: 0, to: tile.errors.rows } });
    },
    async [Symbol.asyncDispose]() {},
  };
}
