import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { divergenceOf } from '../../../../../server/api/native/divergence.ts';

const of = (policy: unknown[], reference: number[]) =>
  divergenceOf([
    { policy, reference: Float32Array.from(reference), at: Int32Array.from(reference.keys()) },
  ]);

describe('divergenceOf', () => {
  it('is nothing where policy and reference are one, and nowhere where nothing is scored', () => {
    assert.deepEqual(of([-1, -2], [-1, -2]), { k1: 0, k3: 0, tokens: 2 });
    assert.equal(of([], []), undefined);
  });

  it('is the mean of the differences for k1, and never negative for k3', () => {
    const logprob = fc.double({ min: -20, max: 0, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(logprob, logprob), { minLength: 1 }), (pairs) => {
        const reference = pairs.map(([, value]) => Math.fround(value));

        const { k1, k3, tokens } = of(
          pairs.map(([value]) => value),
          reference,
        )!;

        const mean = pairs.reduce((sum, [value], i) => sum + value - reference[i]!, 0) / tokens;
        assert.ok(Math.abs(k1 - mean) < 1e-9, `k1 ${k1}, ${mean}`);
        assert.ok(k3 >= 0, `k3 ${k3}`);
      }),
    );
  });

  it('names a value that is missing', () => {
    for (const missing of [null, Number.NaN, -Infinity, 'x']) {
      assert.throws(() => of([-1, missing], [-1, -1]), { message: /policy_logprobs\[0\]\[1\]/ });
    }
  });
});
