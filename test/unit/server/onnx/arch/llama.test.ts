import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeLlama } from '../../../../../server/onnx/arch/llama.ts';
import {
  llamaAttention,
  llamaHead,
  llamaMlp,
  llamaNorms,
  llamaTrunk,
  namesOf,
  ofFirstLayer,
  shapesOf,
  tinyConfig,
} from '../../../../support/decoders.ts';

describe('describeLlama', () => {
  it('asks for every tensor with its shape', () => {
    assert.deepEqual(shapesOf(describeLlama(tinyConfig, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', { ...llamaAttention, ...llamaMlp, ...llamaNorms }),
      ...llamaHead,
    });
  });

  it('has as many layers, heads and rows as config.json says', () => {
    const { layers, vocabularySize, contextTokens } = describeLlama(
      { ...tinyConfig, num_hidden_layers: 3, head_dim: 20 },
      'LogProbs',
    );

    assert.deepEqual([layers.length, vocabularySize, contextTokens], [3, 40, 64]);
    const { heads, kvHeads, headDim, window, scale } = layers[2]!.attention;
    assert.deepEqual([heads, kvHeads, headDim], [4, 2, 20]);
    assert.deepEqual([window, scale], [undefined, undefined]);
  });

  it('asks for biases where config.json has them', () => {
    const biases = (changes: object) =>
      namesOf(describeLlama({ ...tinyConfig, ...changes }, 'LogProbs'), '.bias').length;

    assert.equal(biases({}), 0);
    assert.equal(biases({ attention_bias: true }), 4);
    assert.equal(biases({ mlp_bias: true }), 3);
  });

  const refused = [
    { given: { hidden_act: 'mish' }, code: 'UNSUPPORTED_ARCHITECTURE' },
    { given: { rope_scaling: { type: 'mrope' } }, code: 'UNSUPPORTED_ARCHITECTURE' },
    { given: { num_key_value_heads: 3 }, code: 'CONFIG_INVALID' },
    { given: { num_attention_heads: 5, num_key_value_heads: 5 }, code: 'CONFIG_INVALID' },
    { given: { head_dim: 7 }, code: 'CONFIG_INVALID' },
    { given: { vocab_size: 0 }, code: 'CONFIG_INVALID' },
    { given: { hidden_size: 'big' }, code: 'CONFIG_INVALID' },
    { given: { num_hidden_layers: 5000 }, code: 'CONFIG_INVALID' },
  ];
  for (const { given, code } of refused) {
    it(`refuses ${JSON.stringify(given)} with ${code}`, () => {
      assert.throws(() => describeLlama({ ...tinyConfig, ...given }, 'LogProbs'), { code });
    });
  }
});
