import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  describeGemma,
  gemmaActivation,
  gemmaTrunk,
  shifted,
} from '../../../../../server/onnx/arch/gemma.ts';
import {
  llamaAttention,
  llamaMlp,
  llamaNorms,
  llamaTrunk,
  namesOf,
  ofFirstLayer,
  shapesOf,
  tinyConfig,
} from '../../../../support/decoders.ts';

const config = { ...tinyConfig, head_dim: 8 };

describe('describeGemma', () => {
  it('asks for the tensors of Llama without a head', () => {
    assert.deepEqual(shapesOf(describeGemma(config, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', { ...llamaAttention, ...llamaMlp, ...llamaNorms }),
    });
  });

  it('scales the embedding, and has norms that lack one', () => {
    const { embedding, norm, layers } = describeGemma(config, 'LogProbs');

    assert.equal(embedding.scale, Math.sqrt(32));
    const norms = [norm, layers[0]?.beforeAttention, layers[0]?.beforeMlp];
    assert.deepEqual(
      norms.map((norm) => norm?.isShifted),
      [true, true, true],
    );
  });

  it('has heads of 256 where config.json says nothing', () => {
    const [layer] = describeGemma(tinyConfig, 'LogProbs').layers;

    assert.equal(layer?.attention.headDim, 256);
  });

  it('may have biases, and a head of its own', () => {
    const given = { ...config, attention_bias: true, tie_word_embeddings: false };

    const names = namesOf(describeGemma(given, 'LogProbs'));

    assert.equal(names.filter((name) => name.endsWith('.bias')).length, 4);
    assert.ok(names.includes('lm_head.weight'), 'no head is asked for');
  });

  const activations = [
    { given: {}, expected: 'TanhGELU' },
    { given: { hidden_act: 'gelu' }, expected: 'TanhGELU' },
    { given: { hidden_act: 'relu' }, expected: 'ReLU' },
    { given: { hidden_act: 'gelu', hidden_activation: null }, expected: 'TanhGELU' },
    { given: { hidden_act: 'relu', hidden_activation: 'gelu' }, expected: 'GELU' },
  ];
  for (const { given, expected } of activations) {
    it(`takes ${JSON.stringify(given)} for ${expected}`, () => {
      const [layer] = describeGemma({ ...config, ...given }, 'LogProbs').layers;

      assert.ok(layer?.mlp.kind === 'Gated', 'has no gate');
      assert.equal(layer.mlp.activation, expected);
    });
  }

  it('may be a reward model', () => {
    assert.deepEqual(shapesOf(describeGemma(config, 'Reward'))['score.weight'], [2, 32]);
  });
});

describe('what the Gemmas share', () => {
  const c = {
    ...config,
    hidden_act: 'silu',
    rms_norm_eps: 1e-6,
    attention_bias: false,
    mlp_bias: false,
    tie_word_embeddings: true,
  };

  it('is a tanh GELU where hidden_activation is missing', () => {
    assert.equal(gemmaActivation({}), 'gelu_pytorch_tanh');
    assert.equal(gemmaActivation({ hidden_activation: 'relu' }), 'relu');
  });

  it('is a norm that lacks one, over as many numbers as are asked', () => {
    assert.deepEqual(shifted('norm', c, 8), {
      name: 'norm',
      kind: 'RMS',
      length: 8,
      epsilon: 1e-6,
      isShifted: true,
    });
  });

  it('is a trunk whose head is tied', () => {
    const { head } = gemmaTrunk(c, config, 'LogProbs');

    assert.equal(head.task === 'LogProbs' && head.projection.tiedTo, 'model.embed_tokens.weight');
  });
});
