import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openQuantizer } from '../../../../../server/model/convert/quantizer.ts';
import { quantizeInt4 } from '../../../../../server/quant/int4.ts';
import { quantizeInt8 } from '../../../../../server/quant/int8.ts';
import { quantizeNf4 } from '../../../../../server/quant/nf4.ts';
import { neverAborted } from '../../../../support/engine-kit.ts';
import { noise } from '../../../../support/run-graph.ts';

const [rows, columns] = [5, 64];
const weights = { rows, columns, values: noise(rows * columns, 3) };

describe('openQuantizer', () => {
  const formats = [
    { format: 'Int8', want: quantizeInt8(weights.values, columns) },
    { format: 'Int4', want: quantizeInt4(weights.values, columns) },
    { format: 'NF4', want: quantizeNf4(weights.values) },
  ] as const;
  for (const { format, want } of formats) {
    it(`rounds to ${format}`, async () => {
      await using quantizer = openQuantizer(2);

      assert.deepEqual(await quantizer.quantize(format, weights, neverAborted), want);
    });
  }
});
