import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openQuantizer } from '../../../../../server/model/convert/quantizer.ts';
import { perform } from '../../../../../server/model/convert/rounding.ts';
import { allocateBlocks } from '../../../../../server/quant/blocks.ts';
import { roundTileRows } from '../../../../../server/quant/gptq.ts';
import { neverAborted } from '../../../../support/engine-kit.ts';
import { noise } from '../../../../support/run-graph.ts';

const [rows, columns] = [200, 96];
const weights = { rows, columns, values: noise(rows * columns, 3) };
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  Buffer.from(buffer, byteOffset, byteLength);

describe('openQuantizer', () => {
  for (const format of ['Int8', 'Int4', 'NF4'] as const) {
    it(`rounds to ${format} on several threads as on one`, async () => {
      await using quantizer = openQuantizer(3);

      const found = await quantizer.quantize(format, weights, neverAborted);

      const expected = perform({ kind: 'Quantize', format, weights });
      assert.deepEqual(bytesOf(found.codes), bytesOf(expected.codes));
      assert.deepEqual(bytesOf(found.scales), bytesOf(expected.scales));
    });
  }

  it('rounds a tile on several threads as on one, and leaves its errors in the matrix', async () => {
    await using quantizer = openQuantizer(2);
    const lower = noise(64 * 64, 5).map((value, at) => (at % 65 === 0 ? 2 : value / 8));
    const tile = (values: Float32Array) => ({
      columns: { from: 32, to: 96 },
      errors: { rows, columns, values },
      feedback: noise(rows * 64, 6),
      lower,
      importance: noise(64, 7).map(Math.abs),
      into: allocateBlocks(rows, columns, 4),
    });
    const [together, alone] = [tile(weights.values.slice()), tile(weights.values.slice())];

    await quantizer.roundTile(together, neverAborted);

    roundTileRows({ ...alone, rows: { from: 0, to: rows } });
    assert.deepEqual(together.into, alone.into);
    assert.deepEqual(together.errors, alone.errors);
  });

  it('rounds the last tile, which has no feedback', async () => {
    await using quantizer = openQuantizer(2);
    const values = weights.values.slice();
    const lower = new Float32Array(96 * 96);
    for (let i = 0; i < 96; i++) lower[i * 97] = 1;
    const into = allocateBlocks(rows, columns, 4);
    const importance = new Float32Array(96).fill(1);
    const errors = { rows, columns, values };
    const whole = { columns: { from: 0, to: 96 }, feedback: new Float32Array() };

    await quantizer.roundTile({ ...whole, errors, lower, importance, into }, neverAborted);

    const expected = perform({ kind: 'Quantize', format: 'Int4', weights });
    assert.deepEqual(into.codes, expected.codes); // nothing hangs together: as each by itself
  });

  it('ends waiting when it is given up', async () => {
    await using quantizer = openQuantizer(1);
    const reason = new Error('given up');

    const fails = quantizer.quantize('Int8', weights, AbortSignal.abort(reason));

    await assert.rejects(fails, reason);
  });
});
