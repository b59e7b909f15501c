import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import {
  invalidConfig,
  parseModelConfig,
  refuseOtherAttention,
  unsupported,
} from '../../../../../server/onnx/arch/config.ts';

describe('parseModelConfig', () => {
  it('gives the parsed fields', () => {
    assert.deepEqual(parseModelConfig(z.object({ size: z.int().default(3) }), {}), { size: 3 });
  });

  it('names every field that is wrong', () => {
    const schema = z.object({ size: z.int(), depth: z.int() });

    assert.throws(() => parseModelConfig(schema, { size: 'x' }), {
      code: 'CONFIG_INVALID',
      message: /size: .*depth: /,
    });
  });

  it('refuses what is not an object', () => {
    assert.throws(() => parseModelConfig(z.object({}), null), { code: 'CONFIG_INVALID' });
  });
});

describe('what is refused', () => {
  it('names the file', () => {
    assert.match(invalidConfig('no').message, /config\.json: no/);
  });

  it('lists what is supported', () => {
    const err = unsupported('architecture "X"', ['A', 'B']);

    assert.equal(err.code, 'UNSUPPORTED_ARCHITECTURE');
    assert.match(err.message, /"X" is not supported, only A, B/);
  });
});

describe('refuseOtherAttention', () => {
  const refused = [
    { use_bidirectional_attention: true },
    { use_bidirectional_attention: 'all' },
    { is_causal: false },
    { attention_chunk_size: 8192 },
    { add_cross_attention: true },
  ];
  for (const given of refused) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      assert.throws(() => refuseOtherAttention(given), { code: 'UNSUPPORTED_ARCHITECTURE' });
    });
  }

  it('lets through what says the opposite, or nothing', () => {
    refuseOtherAttention({});
    refuseOtherAttention({ use_bidirectional_attention: null, is_causal: true });
    refuseOtherAttention({ attention_chunk_size: null, add_cross_attention: false });
  });
});
