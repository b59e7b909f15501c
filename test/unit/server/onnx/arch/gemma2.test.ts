import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeGemma2 } from '../../../../../server/onnx/arch/gemma2.ts';
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
const four = { ...config, num_hidden_layers: 4 };

describe('describeGemma2', () => {
  it('asks for four norms in each layer', () => {
    assert.deepEqual(shapesOf(describeGemma2(config, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', {
        ...llamaAttention,
        ...llamaMlp,
        'input_layernorm.weight': [32],
        'post_attention_layernorm.weight': [32],
        'pre_feedforward_layernorm.weight': [32],
        'post_feedforward_layernorm.weight': [32],
      }),
    });
  });

  it('caps the logits of attention and of the head, unless config.json says null', () => {
    const caps = (changes: object) => {
      const { head, layers } = describeGemma2({ ...config, ...changes }, 'LogProbs');
      return [layers[0]?.attention.softcap, head.task === 'LogProbs' && head.softcap];
    };

    assert.deepEqual(caps({}), [50, 30]);
    assert.deepEqual(caps({ attn_logit_softcapping: 5, final_logit_softcapping: 4 }), [5, 4]);
    const none = { attn_logit_softcapping: null, final_logit_softcapping: null };
    assert.deepEqual(caps(none), [undefined, undefined]);
  });

  it('scales the logits of attention by query_pre_attn_scalar', () => {
    const scale = (changes: object) =>
      describeGemma2({ ...config, ...changes }, 'LogProbs').layers[0]?.attention.scale;

    assert.equal(scale({}), 1 / 16);
    assert.equal(scale({ query_pre_attn_scalar: 4 }), 1 / 2);
  });

  it('has windows in the first and every other layer, or as layer_types says', () => {
    const types = ['full_attention', 'sliding_attention', 'sliding_attention', 'full_attention'];

    assert.deepEqual(windowsOf(describeGemma2(four, 'LogProbs')), [7, undefined, 7, undefined]);
    const given = { ...four, layer_types: types };
    assert.deepEqual(windowsOf(describeGemma2(given, 'LogProbs')), [undefined, 7, 7, undefined]);
  });

  it('refuses other kinds of layers', () => {
    const given = { ...config, layer_types: ['chunked_attention'] };

    assert.throws(() => describeGemma2(given, 'LogProbs'), { code: 'UNSUPPORTED_ARCHITECTURE' });
  });

  it('may be a reward model, without a cap', () => {
    const { head } = describeGemma2({ ...config, num_labels: 5 }, 'Reward');

    assert.deepEqual(head, {
      task: 'Reward',
      score: { name: 'score', rows: 5, columns: 32, isExact: true },
    });
  });
});
