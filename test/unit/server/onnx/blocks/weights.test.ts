import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { embedding, linear } from '../../../../../server/onnx/blocks/weights.ts';
import { float32Tensor, type Tensor } from '../../../../../server/onnx/graph.ts';
import { dequantizeInt8, int8BlockSize, quantizeInt8 } from '../../../../../server/quant/int8.ts';
import {
  floats,
  integers,
  largestDifference,
  noise,
  runBlock,
} from '../../../../support/run-graph.ts';

const [n, K, N] = [3, 40, 5];

function multiply(x: Float32Array, w: Float32Array, bias: Float32Array): number[] {
  return Array.from({ length: n * N }, (_, at) => {
    const [row, column] = [Math.floor(at / N), at % N];
    let sum = bias[column]!;
    for (let k = 0; k < K; k++) sum += x[row * K + k]! * w[column * K + k]!;
    return sum;
  });
}

/** The upper half of each float32. */
const bfloat16Tensor = (values: Float32Array, shape: number[]): Tensor => {
  const bits = new Uint32Array(values.buffer);
  const halves = Uint16Array.from(bits, (word) => word >>> 16);
  return { type: 'bfloat16', shape, data: new Uint8Array(halves.buffer) };
};
const bfloat16Values = (values: Float32Array): Float32Array =>
  new Float32Array(new Uint32Array(values.buffer).map((word) => word & 0xffff0000).buffer);

describe('linear', () => {
  const x = noise(n * K, 1);
  const w = noise(N * K, 2);
  const bias = noise(N, 3);

  it('multiplies by the transposed float32 weight and adds the bias', async () => {
    const { y } = await runBlock({ x: floats([n, K], x) }, (tape, inputs) => {
      const b = tape.constant('b', float32Tensor(bias, [N]));
      const weight = { format: 'Float', tensor: float32Tensor(w, [N, K]) } as const;
      return { y: linear(tape, inputs.x, { name: 'w', weight, bias: b }) };
    });

    assert.ok(largestDifference(y!.data, multiply(x, w, bias)) < 1e-5);
  });

  it('computes in float32 with a bfloat16 weight', async () => {
    const { y } = await runBlock({ x: floats([n, K], x) }, (tape, inputs) => {
      const weight = { format: 'Float', tensor: bfloat16Tensor(w, [N, K]) } as const;
      return { y: linear(tape, inputs.x, { name: 'w', weight }) };
    });

    const expected = multiply(x, bfloat16Values(w), new Float32Array(N));
    assert.ok(largestDifference(y!.data, expected) < 1e-5);
  });

  it('computes with the dequantized weight of 8-bit blocks, without rounding the activations', async () => {
    const blocks = quantizeInt8(w, K);
    const perRow = blocks.scales.length / N;
    const { y } = await runBlock({ x: floats([n, K], x) }, (tape, inputs) => {
      const codes = {
        type: 'uint8',
        shape: [N, perRow, int8BlockSize],
        data: blocks.codes,
      } as const;
      const scales = float32Tensor(blocks.scales, [N, perRow]);
      const size = { rows: N, columns: K, blockSize: int8BlockSize };
      const b = tape.constant('b', float32Tensor(bias, [N]));
      const weight = { format: 'Int8', ...size, codes, scales } as const;
      return { y: linear(tape, inputs.x, { name: 'w', weight, bias: b }) };
    });

    const expected = multiply(x, dequantizeInt8(blocks, K), bias);
    assert.ok(largestDifference(y!.data, expected) < 1e-5);
  });
});

describe('embedding', () => {
  const table = noise(4 * 8, 5);

  it('gathers rows of a bfloat16 table as float32', async () => {
    const { y } = await runBlock({ ids: integers([2], [3, 1]) }, (tape, { ids }) => ({
      y: embedding(tape, ids, 'table', bfloat16Tensor(table, [4, 8])),
    }));

    const values = bfloat16Values(table);
    assert.deepEqual(y!.data, [...values.subarray(24, 32), ...values.subarray(8, 16)]);
  });
});
