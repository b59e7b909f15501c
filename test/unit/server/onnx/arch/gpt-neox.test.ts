import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeGptNeoX } from '../../../../../server/onnx/arch/gpt-neox.ts';
import { namesOf, ofFirstLayer, shapesOf } from '../../../../support/decoders.ts';

const config = {
  vocab_size: 40,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  max_position_embeddings: 64,
};

describe('describeGptNeoX', () => {
  it('asks for one matrix of q, k and v, and for biases everywhere', () => {
    assert.deepEqual(shapesOf(describeGptNeoX(config, 'LogProbs')), {
      'gpt_neox.embed_in.weight': [40, 32],
      ...ofFirstLayer('gpt_neox.layers.0', {
        'input_layernorm.weight': [32],
        'input_layernorm.bias': [32],
        'attention.query_key_value.weight': [96, 32],
        'attention.query_key_value.bias': [96],
        'attention.dense.weight': [32, 32],
        'attention.dense.bias': [32],
        'post_attention_layernorm.weight': [32],
        'post_attention_layernorm.bias': [32],
        'mlp.dense_h_to_4h.weight': [48, 32],
        'mlp.dense_h_to_4h.bias': [48],
        'mlp.dense_4h_to_h.weight': [32, 48],
        'mlp.dense_4h_to_h.bias': [32],
      }),
      'gpt_neox.final_layer_norm.weight': [32],
      'gpt_neox.final_layer_norm.bias': [32],
      'embed_out.weight': [40, 32],
    });
  });

  it('turns a quarter of each head, or what config.json says', () => {
    const rope = (changes: object) =>
      describeGptNeoX({ ...config, ...changes }, 'LogProbs').ropes[0];

    assert.deepEqual(rope({}), { type: 'default', theta: 10_000, dim: 2 });
    const whole = { rotary_pct: 1, rotary_emb_base: 500 };
    assert.deepEqual(rope(whole), { type: 'default', theta: 500, dim: 8 });
    const newer = { rope_parameters: { rope_theta: 500, partial_rotary_factor: 0.5 } };
    assert.deepEqual(rope(newer), { type: 'default', theta: 500, dim: 4 });
  });

  it('has attention and mlp side by side, or one after the other', () => {
    const isParallel = (changes: object) =>
      describeGptNeoX({ ...config, ...changes }, 'LogProbs').layers[0]?.isParallel;

    assert.equal(isParallel({}), true);
    assert.equal(isParallel({ use_parallel_residual: false }), false);
  });

  it('may lack the biases of attention, and have a tied head', () => {
    const given = { ...config, attention_bias: false, tie_word_embeddings: true };

    const names = namesOf(describeGptNeoX(given, 'LogProbs'));

    assert.ok(!names.some((name) => /attention.*bias/.test(name) && !/norm/.test(name)), 'biases');
    assert.ok(!names.includes('embed_out.weight'), 'the head is asked for');
  });

  it('may be a reward model', () => {
    assert.deepEqual(shapesOf(describeGptNeoX(config, 'Reward'))['score.weight'], [2, 32]);
  });

  it('refuses heads that do not divide the hidden size', () => {
    const given = { ...config, num_attention_heads: 5 };

    assert.throws(() => describeGptNeoX(given, 'LogProbs'), { code: 'CONFIG_INVALID' });
  });
});
