import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeQwen3 } from '../../../../../server/onnx/arch/qwen3.ts';
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
  windowsOf,
} from '../../../../support/decoders.ts';

const config = { ...tinyConfig, head_dim: 16 };

describe('describeQwen3', () => {
  it('asks for the tensors of Llama and norms over each head of q and k', () => {
    assert.deepEqual(shapesOf(describeQwen3(config, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', {
        ...llamaAttention,
        'self_attn.q_proj.weight': [64, 32],
        'self_attn.k_proj.weight': [32, 32],
        'self_attn.v_proj.weight': [32, 32],
        'self_attn.o_proj.weight': [32, 64],
        'self_attn.q_norm.weight': [16],
        'self_attn.k_norm.weight': [16],
        ...llamaMlp,
        ...llamaNorms,
      }),
      ...llamaHead,
    });
  });

  it('has heads of 128 where config.json says nothing', () => {
    const shapes = shapesOf(describeQwen3(tinyConfig, 'LogProbs'));

    assert.deepEqual(shapes['model.layers.0.self_attn.q_norm.weight'], [128]);
    assert.deepEqual(shapes['model.layers.0.self_attn.q_proj.weight'], [512, 32]);
  });

  it('asks for biases where config.json has them', () => {
    const biases = (changes: object) =>
      namesOf(describeQwen3({ ...config, ...changes }, 'LogProbs'), '.bias').length;

    assert.equal(biases({}), 0);
    assert.equal(biases({ attention_bias: true }), 4);
  });

  it('has windows as Qwen 2 has them', () => {
    const slides = { use_sliding_window: true, sliding_window: 9, max_window_layers: 1 };
    const given = { ...config, ...slides, num_hidden_layers: 2 };

    assert.deepEqual(windowsOf(describeQwen3(given, 'LogProbs')), [undefined, 9]);
  });

  it('may be a reward model', () => {
    const labels = { id2label: { 0: 'a', 1: 'b', 2: 'c' } };

    const shapes = shapesOf(describeQwen3({ ...config, ...labels }, 'Reward'));

    assert.deepEqual(shapes['score.weight'], [3, 32]);
  });
});
