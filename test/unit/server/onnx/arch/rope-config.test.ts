import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseRope } from '../../../../../server/onnx/arch/rope-config.ts';

describe('parseRope', () => {
  it('is plain without any setting', () => {
    assert.deepEqual(parseRope({}, 128), { type: 'default', theta: 10_000 });
  });

  const linear = { type: 'linear', theta: 5, factor: 2 };
  const spellings = [
    {
      name: 'rope_scaling.type',
      given: { rope_theta: 5, rope_scaling: { type: 'linear', factor: 2 } },
    },
    {
      name: 'rope_scaling.rope_type',
      given: { rope_theta: 5, rope_scaling: { rope_type: 'linear', factor: 2 } },
    },
    {
      name: 'rope_parameters',
      given: { rope_parameters: { rope_type: 'linear', factor: 2, rope_theta: 5 } },
    },
  ];
  for (const { name, given } of spellings) {
    it(`reads the spelling ${name}`, () => {
      assert.deepEqual(parseRope(given, 128), linear);
    });
  }

  it('derives what yarn leaves out from the context', () => {
    const given = { rope_scaling: { type: 'yarn', original_max_position_embeddings: 32 } };

    const rope = parseRope(given, 128);

    assert.ok(rope.type === 'yarn');
    assert.equal(rope.factor, 4);
    assert.equal(rope.attentionFactor, 0.1 * Math.log(4) + 1);
  });

  it('divides the two growths of yarn when both are given', () => {
    const scales = { factor: 4, mscale: 1, mscale_all_dim: 1 };

    const rope = parseRope({ rope_scaling: { type: 'yarn', ...scales } }, 128);

    assert.equal(rope.type === 'yarn' && rope.attentionFactor, 1);
  });

  const refused = [
    { name: 'another scaling', given: { rope_scaling: { type: 'longrope' } } },
    {
      name: 'a scaling named like a method of objects',
      given: { rope_scaling: { type: 'toString' } },
    },
    { name: 'a partial rotation', given: { partial_rotary_factor: 0.5 } },
  ];
  for (const { name, given } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseRope(given, 128), { code: 'UNSUPPORTED_ARCHITECTURE' });
    });
  }

  it('refuses a scaling without its factor', () => {
    const given = { rope_scaling: { type: 'linear' } };

    assert.throws(() => parseRope(given, 128), { code: 'CONFIG_INVALID' });
  });
});
