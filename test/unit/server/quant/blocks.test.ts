import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { int } from '../../../../server/onnx/graph.ts';
import { bfloat16Value } from '../../../../server/quant/bfloat16.ts';
import {
  allocateBlocks,
  type BlockBits,
  blocksPerRow,
  dequantize,
} from '../../../../server/quant/blocks.ts';
import { quantizeInt4 } from '../../../../server/quant/int4.ts';
import { quantizeInt8 } from '../../../../server/quant/int8.ts';
import {
  floats,
  integers,
  largestDifference,
  noise,
  runBlock,
} from '../../../support/run-graph.ts';

const [rows, columns] = [5, 96];

function quantized(bits: BlockBits) {
  const weights = noise(rows * columns);
  const blocks = bits === 8 ? quantizeInt8(weights, columns) : quantizeInt4(weights, columns);
  const perRow = blocksPerRow(columns);
  const codes = {
    type: 'uint8',
    shape: [rows, perRow, (32 * bits) / 8],
    data: blocks.codes,
  } as const;
  const scales = {
    type: 'float32',
    shape: [rows, perRow],
    data: new Uint8Array(Float32Array.from(blocks.scales, bfloat16Value).buffer),
  } as const;
  return { blocks, codes, scales, perRow };
}

describe('blocks', () => {
  for (const bits of [4, 8] as const) {
    it(`of ${bits} bits are what MatMulNBits multiplies by`, async () => {
      const { blocks, codes, scales } = quantized(bits);
      const unit = new Float32Array(columns * columns);
      for (let i = 0; i < columns; i++) unit[i * columns + i] = 1;

      const { y } = await runBlock({ x: floats([columns, columns], unit) }, (tape, { x }) => {
        const inputs = [x, tape.constant('codes', codes), tape.constant('scales', scales)];
        const attributes = {
          N: int(rows),
          K: int(columns),
          bits: int(bits),
          block_size: int(32),
          accuracy_level: int(0),
        };
        return { y: tape.op('MatMulNBits', inputs, attributes) };
      });

      const weights = dequantize(blocks, columns, bits);
      const transposed = y!.data.map(
        (_, i) => y!.data[(i % columns) * rows + Math.floor(i / columns)]!,
      );
      assert.equal(largestDifference(weights, transposed), 0);
    });
  }

  it('of 8 bits are rows that GatherBlockQuantized picks, from [V, h] and without zero points', async () => {
    const { blocks, codes, scales, perRow } = quantized(8);

    const { y } = await runBlock({ ids: integers([2], [4, 1]) }, (tape, { ids }) => {
      const table = tape.constant('codes', { ...codes, shape: [rows, perRow * 32] });
      const attributes = {
        gather_axis: int(0),
        quantize_axis: int(1),
        block_size: int(32),
        bits: int(8),
      };
      const inputs = [table, ids, tape.constant('scales', scales)];
      return { y: tape.op('GatherBlockQuantized', inputs, attributes) };
    });

    const weights = dequantize(blocks, columns, 8);
    const picked = [4, 1].flatMap((id) => [...weights.subarray(id * columns, (id + 1) * columns)]);
    assert.deepEqual(y!.data, picked);
  });

  it('are made full of zeros', () => {
    for (const bits of [4, 8] as const) {
      const blocks = allocateBlocks(2, 33, bits);
      blocks.scales.fill(0x3f80);

      assert.deepEqual(dequantize(blocks, 33, bits), new Float32Array(66));
    }
  });
});
