import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bytesPerNumber, decodeFloats } from '../../../../server/quant/decode.ts';

const halves = (...values: number[]) => new Uint8Array(Uint16Array.from(values).buffer);

describe('decodeFloats', () => {
  it('reads half precision: normal, subnormal, signed zero, infinite, not a number', () => {
    const bytes = halves(0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x7e00);

    const expected = [1, -2, 65504, 2 ** -24, -0, Infinity, -Infinity, NaN];
    assert.deepEqual([...decodeFloats(bytes, 'float16')], expected);
  });

  it('reads bfloat16 as the upper half of a float32', () => {
    const bytes = halves(0x3f80, 0xc000, 0x7f80, 0x0001);

    const expected = [1, -2, Infinity, Math.fround(2 ** -133)];
    assert.deepEqual([...decodeFloats(bytes, 'bfloat16')], expected);
  });

  it('reads single precision as it is, from any address', () => {
    fc.assert(
      fc.property(fc.array(fc.float()), fc.nat(7), (values, shift) => {
        const bytes = new Uint8Array(shift + 4 * values.length);
        bytes.set(new Uint8Array(Float32Array.from(values).buffer), shift);

        assert.deepEqual([...decodeFloats(bytes.subarray(shift), 'float32')], values);
      }),
    );
  });

  it('knows the size of each type', () => {
    assert.deepEqual(bytesPerNumber, { float32: 4, float16: 2, bfloat16: 2 });
  });
});
