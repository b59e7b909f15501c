import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeOlmo2 } from '../../../../../server/onnx/arch/olmo2.ts';
import {
  llamaAttention,
  llamaHead,
  llamaMlp,
  llamaTrunk,
  namesOf,
  ofFirstLayer,
  shapesOf,
  tinyConfig,
} from '../../../../support/decoders.ts';

describe('describeOlmo2', () => {
  it('asks for norms after attention and mlp, and over all of q and all of k', () => {
    assert.deepEqual(shapesOf(describeOlmo2(tinyConfig, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', {
        ...llamaAttention,
        'self_attn.q_norm.weight': [32],
        'self_attn.k_norm.weight': [16],
        'post_attention_layernorm.weight': [32],
        ...llamaMlp,
        'post_feedforward_layernorm.weight': [32],
      }),
      ...llamaHead,
    });
  });

  it('has no norm before attention and mlp', () => {
    const [layer] = describeOlmo2(tinyConfig, 'LogProbs').layers;

    assert.deepEqual([layer?.beforeAttention, layer?.beforeMlp], [undefined, undefined]);
  });

  it('asks for biases where config.json has them', () => {
    const given = { ...tinyConfig, attention_bias: true };

    assert.equal(namesOf(describeOlmo2(given, 'LogProbs'), '.bias').length, 4);
  });

  it('may be a reward model', () => {
    assert.deepEqual(shapesOf(describeOlmo2(tinyConfig, 'Reward'))['score.weight'], [2, 32]);
  });
});
