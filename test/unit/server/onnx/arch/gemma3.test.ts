import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Decoder } from '../../../../../server/onnx/arch/decoder.ts';
import {
  describeGemma3,
  describeGemma3WithImages,
} from '../../../../../server/onnx/arch/gemma3.ts';
import {
  llamaAttention,
  llamaMlp,
  llamaTrunk,
  ofFirstLayer,
  shapesOf,
  tinyConfig,
  windowsOf,
} from '../../../../support/decoders.ts';

const config = { ...tinyConfig, head_dim: 8, sliding_window: 7 };
const six = { ...config, num_hidden_layers: 6 };
const ropesOf = ({ layers }: Decoder) => layers.map(({ rope }) => rope);

describe('describeGemma3', () => {
  it('asks for four norms in each layer and norms over each head of q and k', () => {
    assert.deepEqual(shapesOf(describeGemma3(config, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', {
        ...llamaAttention,
        'self_attn.q_norm.weight': [8],
        'self_attn.k_norm.weight': [8],
        ...llamaMlp,
        'input_layernorm.weight': [32],
        'post_attention_layernorm.weight': [32],
        'pre_feedforward_layernorm.weight': [32],
        'post_feedforward_layernorm.weight': [32],
      }),
    });
  });

  it('has windows in five of six layers, which turn by another rope', () => {
    const decoder = describeGemma3(six, 'LogProbs');

    assert.deepEqual(windowsOf(decoder), [7, 7, 7, 7, 7, undefined]);
    assert.deepEqual(ropesOf(decoder), [1, 1, 1, 1, 1, 0]);
    assert.deepEqual(
      decoder.ropes.map(({ theta }) => theta),
      [1e6, 1e4],
    );
  });

  it('has windows by sliding_window_pattern or layer_types', () => {
    const windows = (changes: object) =>
      windowsOf(describeGemma3({ ...config, num_hidden_layers: 3, ...changes }, 'LogProbs'));

    assert.deepEqual(windows({ sliding_window_pattern: 2 }), [7, undefined, 7]);
    const types = ['full_attention', 'full_attention', 'sliding_attention'];
    assert.deepEqual(windows({ layer_types: types }), [undefined, undefined, 7]);
  });

  const scaled = { rope_type: 'linear', factor: 8 };
  const spellings = [
    {
      what: 'rope_scaling',
      given: { rope_theta: 5e5, rope_local_base_freq: 5e3, rope_scaling: scaled },
    },
    {
      what: 'rope_parameters',
      given: {
        rope_parameters: {
          full_attention: { ...scaled, rope_theta: 5e5 },
          sliding_attention: { rope_type: 'default', rope_theta: 5e3 },
        },
      },
    },
  ];
  for (const { what, given } of spellings) {
    it(`scales the rope of the layers without a window alone: ${what}`, () => {
      const { ropes, contextTokens } = describeGemma3({ ...config, ...given }, 'LogProbs');

      assert.deepEqual(ropes, [
        { type: 'linear', factor: 8, theta: 5e5, dim: 8 },
        { type: 'default', theta: 5e3, dim: 8 },
      ]);
      assert.equal(contextTokens, 64);
    });
  }

  it('caps the logits of the head only', () => {
    const caps = { attn_logit_softcapping: 5, final_logit_softcapping: 4 };

    const { head, layers } = describeGemma3({ ...config, ...caps }, 'LogProbs');

    assert.equal(head.task === 'LogProbs' && head.softcap, 4);
    assert.equal(layers[0]?.attention.softcap, undefined);
  });

  it('knows the sizes that config.json may leave out', () => {
    const sizes = { hidden_size: 32, intermediate_size: 48, num_hidden_layers: 1 };

    const { vocabularySize, layers, contextTokens } = describeGemma3(sizes, 'LogProbs');

    assert.equal(vocabularySize, 262_208);
    assert.equal(contextTokens, 131_072);
    const { heads, kvHeads, headDim, window } = layers[0]!.attention;
    assert.deepEqual([heads, kvHeads, headDim, window], [8, 4, 256, 4096]);
  });
});

describe('describeGemma3WithImages', () => {
  it('reads the text part, and labels from above it', () => {
    const given = { text_config: config, num_labels: 3, vocab_size: 'of no concern' };

    const decoder = describeGemma3WithImages(given, 'Reward');

    assert.deepEqual(decoder, describeGemma3({ ...config, num_labels: 3 }, 'Reward'));
  });

  it('refuses a config without a text part', () => {
    assert.throws(() => describeGemma3WithImages(config, 'LogProbs'), { code: 'CONFIG_INVALID' });
  });

  it('refuses a text part that attends to later tokens', () => {
    const text_config = { ...config, use_bidirectional_attention: true };

    assert.throws(() => describeGemma3WithImages({ text_config }, 'LogProbs'), {
      code: 'UNSUPPORTED_ARCHITECTURE',
    });
  });
});
