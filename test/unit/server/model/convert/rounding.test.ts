import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { perform } from '../../../../../server/model/convert/rounding.ts';
import { quantizeInt8 } from '../../../../../server/quant/int8.ts';
import { quantizeNf4 } from '../../../../../server/quant/nf4.ts';
import { noise } from '../../../../support/run-graph.ts';

const weights = { rows: 2, columns: 64, values: noise(128, 3) };

describe('perform', () => {
  it('rounds rows to the format that is asked', () => {
    const int8 = perform({ kind: 'Quantize', format: 'Int8', weights });
    const nf4 = perform({ kind: 'Quantize', format: 'NF4', weights });

    assert.deepEqual(int8, quantizeInt8(weights.values, 64));
    assert.deepEqual(nf4, quantizeNf4(weights.values));
  });

  it('gives the errors of a tile back', () => {
    const lower = new Float32Array(32 * 32);
    for (let i = 0; i < 32; i++) lower[i * 33] = 1;
    const errors = { rows: 2, columns: 32, values: noise(64, 4) };

    const rounded = perform({
      kind: 'Round',
      errors,
      feedback: new Float32Array(),
      lower,
      importance: new Float32Array(32).fill(1),
    });

    const largest = Math.max(...(rounded.errors ?? []).map(Math.abs));
    assert.ok(largest > 0 && largest < 0.15, `an error of ${largest} in weights up to 1`);
  });
});
