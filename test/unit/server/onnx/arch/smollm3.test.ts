import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeSmolLm3 } from '../../../../../server/onnx/arch/smollm3.ts';
import {
  llamaAttention,
  llamaMlp,
  llamaNorms,
  llamaTrunk,
  namesOf,
  ofFirstLayer,
  shapesOf,
  tinyConfig,
  windowsOf,
} from '../../../../support/decoders.ts';

const config = { ...tinyConfig, num_hidden_layers: 4 };
const ropesOf = (changes: object) =>
  describeSmolLm3({ ...config, ...changes }, 'LogProbs').layers.map(({ rope }) => rope);

describe('describeSmolLm3', () => {
  it('asks for the tensors of Llama without a head', () => {
    assert.deepEqual(shapesOf(describeSmolLm3(tinyConfig, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', { ...llamaAttention, ...llamaMlp, ...llamaNorms }),
    });
  });

  it('leaves out positions in every fourth layer', () => {
    assert.deepEqual(ropesOf({}), [0, 0, 0, undefined]);
  });

  it('leaves out positions where config.json says so', () => {
    assert.deepEqual(ropesOf({ no_rope_layer_interval: 2 }), [0, undefined, 0, undefined]);
    assert.deepEqual(ropesOf({ no_rope_layers: [0, 1, 1, 0] }), [undefined, 0, 0, undefined]);
  });

  it('has windows in the layers without positions, or as layer_types says', () => {
    const slides = { use_sliding_window: true, sliding_window: 7 };
    const windows = (changes: object) =>
      windowsOf(describeSmolLm3({ ...config, ...changes }, 'LogProbs'));

    const none = [undefined, undefined, undefined, undefined];
    assert.deepEqual(windows({ sliding_window: 7 }), none);
    assert.deepEqual(windows(slides), [undefined, undefined, undefined, 7]);
    const types = ['sliding_attention', 'full_attention', 'full_attention', 'full_attention'];
    assert.deepEqual(windows({ ...slides, layer_types: types }), [
      7,
      undefined,
      undefined,
      undefined,
    ]);
    assert.deepEqual(windows({ use_sliding_window: true }), none);
  });

  it('may have biases, and a head of its own', () => {
    const changes = { attention_bias: true, mlp_bias: true, tie_word_embeddings: false };

    const names = namesOf(describeSmolLm3({ ...tinyConfig, ...changes }, 'LogProbs'));

    assert.equal(names.filter((name) => name.endsWith('.bias')).length, 7);
    assert.ok(names.includes('lm_head.weight'), 'no head is asked for');
  });

  it('turns by a base of two million where config.json says nothing', () => {
    assert.equal(describeSmolLm3(config, 'LogProbs').ropes[0]?.theta, 2e6);
  });

  it('refuses lists that are shorter than the model', () => {
    assert.throws(() => ropesOf({ no_rope_layers: [1] }), { code: 'CONFIG_INVALID' });
    assert.throws(() => ropesOf({ layer_types: ['full_attention'] }), { code: 'CONFIG_INVALID' });
  });

  it('may be a reward model', () => {
    assert.deepEqual(shapesOf(describeSmolLm3(tinyConfig, 'Reward'))['score.weight'], [2, 32]);
  });
});
