import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { float32Text, logprobText } from '../../../../server/api/float32.ts';

const anyFloat32 = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ min: -40, max: 0, noNaN: true }).map(Math.fround),
);
const digitsOf = (text: string) =>
  text.replace(/e.*/, '').replace(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '').length;

describe('float32Text', () => {
  for (const [value, want] of [
    [-0.1, '-0.1'],
    [-12.5, '-12.5'],
    [0, '0'],
    [-0, '0'],
    [-1, '-1'],
    [1e-7, '1e-7'],
    [-3.4028234663852886e38, '-3.4028235e+38'],
    [1.401298464324817e-45, '1e-45'],
    [16_777_216, '16777216'],
    [-2.5769171714782715, '-2.5769172'],
  ] as const) {
    it(`prints ${want}`, () => {
      const text = float32Text(Math.fround(value));

      assert.equal(text, want);
    });
  }

  it('reads back as the same float32, in JSON', () => {
    fc.assert(
      fc.property(anyFloat32, (value) => {
        assert.equal(Math.fround(JSON.parse(float32Text(value))), value === 0 ? 0 : value);
      }),
      { numRuns: 5000 },
    );
  });

  it('uses the fewest digits that do', () => {
    fc.assert(
      fc.property(anyFloat32, (value) => {
        const digits = digitsOf(float32Text(value));
        if (digits < 2) return;

        const shorter = Number(value.toPrecision(digits - 1));

        assert.notEqual(Math.fround(shorter), value);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('logprobText', () => {
  it('is never above zero', () => assert.equal(logprobText(Math.fround(1e-6)), '0'));
  it('has a number for impossible tokens', () => assert.equal(logprobText(-Infinity), '-9999.0'));
  it('prints the rest as it is', () => assert.equal(logprobText(Math.fround(-0.3)), '-0.3'));
});
