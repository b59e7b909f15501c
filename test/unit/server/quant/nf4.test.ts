import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { float32Tensor, int } from '../../../../server/onnx/graph.ts';
import { dequantizeNf4, nf4BlockSize, quantizeNf4 } from '../../../../server/quant/nf4.ts';
import { floats, largestDifference, noise, runBlock } from '../../../support/run-graph.ts';

/** Three blocks: noise, small noise, zeros. */
function fixtureWeights(): Float32Array {
  return noise(3 * nf4BlockSize, 5).map((x, i) =>
    i < 64 ? x : i < 128 ? x * Math.fround(0.02) : 0,
  );
}

/** bitsandbytes 0.50.2, functional.quantize_4bit(weights [3, 64], blocksize 64, 'nf4') on a CPU: codes and absmax. */
const expected = {
  codes:
    '2c2ec4720e017a1e65e1f4da96f6723d15f2e363e8591111d316140b239c5a12' +
    '19ef17160add39f0be09f3f32f21ca9d11e544b3189113b592123e1a521fa011' +
    '77'.repeat(32),
  scales: [0.9949950575828552, 0.019532527774572372, 0],
};

describe('quantizeNf4', () => {
  it('gives the very bytes of bitsandbytes', () => {
    const { codes, scales } = quantizeNf4(fixtureWeights());

    assert.equal(Buffer.from(codes).toString('hex'), expected.codes);
    assert.deepEqual([...scales], expected.scales);
  });

  it('is what MatMulBnb4 multiplies by, flat blocks across rows and all', async () => {
    const [rows, columns] = [6, 96];
    const blocks = quantizeNf4(noise(rows * columns));
    const unit = new Float32Array(columns * columns);
    for (let i = 0; i < columns; i++) unit[i * columns + i] = 1;

    const { y } = await runBlock({ x: floats([columns, columns], unit) }, (tape, { x }) => {
      const codes = { type: 'uint8', shape: [blocks.codes.length], data: blocks.codes } as const;
      const scales = float32Tensor(blocks.scales, [blocks.scales.length]);
      const inputs = [x, tape.constant('codes', codes), tape.constant('scales', scales)];
      const attributes = { N: int(rows), K: int(columns), block_size: int(64), quant_type: int(1) };
      return { y: tape.op('MatMulBnb4', inputs, attributes) };
    });

    const weights = dequantizeNf4(blocks, rows * columns);
    const transposed = y!.data.map(
      (_, i) => y!.data[(i % columns) * rows + Math.floor(i / columns)]!,
    );
    assert.equal(largestDifference(weights, transposed), 0);
  });

  it('takes a last block that is short', () => {
    const weights = noise(nf4BlockSize + 3);
    const blocks = quantizeNf4(weights);

    assert.equal(blocks.codes.length, 34);
    assert.ok(largestDifference(dequantizeNf4(blocks, weights.length), weights) < 0.16, 'too far');
  });
});
