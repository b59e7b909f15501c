import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { contextOf, parseRope } from '../../../../../server/onnx/arch/rope-config.ts';

const defaults = { positions: 128, headDim: 8 };
const scaled = (rope_scaling: object, changes: object = {}) =>
  parseRope({ rope_scaling }, { ...defaults, ...changes });

describe('parseRope', () => {
  it('is plain without any setting', () => {
    assert.deepEqual(parseRope({}, defaults), { type: 'default', theta: 10_000, dim: 8 });
    const nothing = { rope_theta: null, rope_scaling: null, rope_parameters: null };
    assert.deepEqual(parseRope(nothing, { ...defaults, theta: 5 }).theta, 5);
  });

  const linear = { type: 'linear', theta: 5, dim: 8, factor: 2 };
  const spellings = [
    {
      what: 'rope_scaling.type',
      given: { rope_theta: 5, rope_scaling: { type: 'linear', factor: 2 } },
    },
    {
      what: 'rope_scaling.rope_type',
      given: { rope_theta: 5, rope_scaling: { rope_type: 'linear', factor: 2 } },
    },
    {
      what: 'rope_parameters',
      given: { rope_parameters: { rope_type: 'linear', factor: 2, rope_theta: 5 } },
    },
    {
      what: 'rope_parameters beside rope_theta',
      given: { rope_theta: 5, rope_parameters: { rope_type: 'linear', factor: 2 } },
    },
    {
      what: 'null for what is not given',
      given: { rope_theta: 5, rope_scaling: { type: 'linear', factor: 2, mscale: null } },
    },
  ];
  for (const { what, given } of spellings) {
    it(`reads the spelling ${what}`, () => assert.deepEqual(parseRope(given, defaults), linear));
  }

  it('goes by the length of the row in dynamic scaling', () => {
    const expected = { type: 'dynamic', factor: 2, originalPositions: 128 };

    assert.deepEqual(scaled({ type: 'dynamic', factor: 2 }), {
      theta: 10_000,
      dim: 8,
      ...expected,
    });
  });

  it('reads the borders of llama3', () => {
    const given = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };

    const rope = scaled({ ...given, original_max_position_embeddings: 32 });

    assert.ok(rope.type === 'llama3', rope.type);
    assert.deepEqual([rope.lowFrequencyFactor, rope.highFrequencyFactor], [1, 4]);
    assert.equal(rope.originalPositions, 32);
  });

  describe('of yarn', () => {
    const yarn = (given: object) => {
      const rope = scaled({ type: 'yarn', ...given });
      assert.ok(rope.type === 'yarn', rope.type);
      return rope;
    };

    it('derives what is left out from the context', () => {
      const given = { factor: null, original_max_position_embeddings: 32 };
      const { factor, attentionFactor, betaFast, betaSlow, isTruncated } = yarn(given);

      assert.equal(factor, 4);
      assert.equal(attentionFactor, 0.1 * Math.log(4) + 1);
      assert.deepEqual([betaFast, betaSlow, isTruncated], [32, 1, true]);
    });

    it('takes what is given', () => {
      const given = { attention_factor: 1.5, beta_fast: 16, beta_slow: 2, truncate: false };
      const { attentionFactor, betaFast, betaSlow, isTruncated } = yarn({ factor: 4, ...given });

      assert.deepEqual([attentionFactor, betaFast, betaSlow, isTruncated], [1.5, 16, 2, false]);
    });

    it('divides its two growths when both are given', () => {
      assert.equal(yarn({ factor: 4, mscale: 1, mscale_all_dim: 1 }).attentionFactor, 1);
      const one = yarn({ factor: 4, mscale: 0.5 }).attentionFactor;
      assert.equal(one, 0.1 * Math.log(4) + 1);
    });
  });

  describe('of longrope', () => {
    const factors = { short_factor: [1, 2, 3, 4], long_factor: [5, 6, 7, 8] };

    for (const type of ['longrope', 'su']) {
      it(`has a factor for each pair: ${type}`, () => {
        const rope = scaled({ type, ...factors, original_max_position_embeddings: 32 });

        assert.ok(rope.type === 'longrope', rope.type);
        assert.deepEqual(rope.shortFactors, [1, 2, 3, 4]);
        assert.deepEqual(rope.longFactors, [5, 6, 7, 8]);
        assert.equal(rope.attentionFactor, Math.sqrt(1 + Math.log(4) / Math.log(32)));
      });
    }

    it('takes the original length from beside the settings first, then from the family', () => {
      const originals = (config: object, originalPositions?: number) => {
        const rope = parseRope(
          { rope_scaling: { type: 'longrope', ...factors }, ...config },
          { ...defaults, ...(originalPositions && { originalPositions }) },
        );
        return rope.type === 'longrope' && rope.originalPositions;
      };

      assert.equal(originals({ original_max_position_embeddings: 16 }, 64), 16);
      assert.equal(originals({}, 64), 64);
      assert.equal(originals({}), 128);
    });

    it('refuses another number of factors', () => {
      const given = { type: 'longrope', ...factors, long_factor: [1] };

      assert.throws(() => scaled(given), { code: 'CONFIG_INVALID' });
    });
  });

  it('turns a part of each head where config.json or the family says so', () => {
    assert.equal(parseRope({ partial_rotary_factor: 0.5 }, defaults).dim, 4);
    assert.equal(parseRope({}, { ...defaults, part: 0.25 }).dim, 2);
    assert.equal(parseRope({ rope_parameters: { partial_rotary_factor: 0.75 } }, defaults).dim, 6);
  });

  it('rounds an odd part up to pairs, which turn as the odd number says', () => {
    const { dim, theta } = parseRope({ partial_rotary_factor: 0.25 }, { ...defaults, headDim: 20 });

    assert.equal(dim, 6);
    assert.ok(Math.abs(theta ** (-2 / 6) - 10_000 ** (-2 / 5)) < 1e-15, `${theta}`);
  });

  const refused = [
    { what: 'another scaling', given: { type: 'mrope' }, code: 'UNSUPPORTED_ARCHITECTURE' },
    { what: 'toString', given: { type: 'toString' }, code: 'UNSUPPORTED_ARCHITECTURE' },
    { what: 'a scaling without its factor', given: { type: 'linear' }, code: 'CONFIG_INVALID' },
    { what: 'a factor of zero', given: { type: 'linear', factor: 0 }, code: 'CONFIG_INVALID' },
    { what: 'a part above one', given: { partial_rotary_factor: 2 }, code: 'CONFIG_INVALID' },
    { what: 'no rotation', given: { partial_rotary_factor: 0.1 }, code: 'CONFIG_INVALID' },
  ];
  for (const { what, given, code } of refused) {
    it(`refuses ${what}`, () => assert.throws(() => scaled(given), { code }));
  }

  it('refuses an odd head, and an odd part where the scaling looks at it', () => {
    assert.throws(() => scaled({}, { headDim: 7 }), { code: 'CONFIG_INVALID' });
    const given = { type: 'yarn', factor: 2, partial_rotary_factor: 0.25 };
    assert.throws(() => scaled(given, { headDim: 20 }), { code: 'CONFIG_INVALID' });
  });
});

describe('contextOf', () => {
  const context = (rope_scaling: object) => contextOf(scaled(rope_scaling), 128);

  it('is what config.json says, stretched where the scaling does that', () => {
    assert.equal(context({}), 128);
    assert.equal(context({ type: 'linear', factor: 2.5 }), 320);
    assert.equal(context({ type: 'dynamic', factor: 2 }), 256);
    assert.equal(context({ type: 'yarn', factor: 4 }), 512);
    const within = { type: 'yarn', factor: 4, original_max_position_embeddings: 32 };
    assert.equal(context(within), 128);
  });
});
