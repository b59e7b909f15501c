import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeGpt2 } from '../../../../../server/onnx/arch/gpt2.ts';
import { ofFirstLayer, shapesOf } from '../../../../support/decoders.ts';

const config = { vocab_size: 40, n_embd: 32, n_layer: 1, n_head: 4, n_positions: 64 };
const scalesOf = (changes: object) =>
  describeGpt2({ ...config, n_layer: 2, ...changes }, 'LogProbs').layers.map(
    ({ attention }) => attention.scale,
  );

describe('describeGpt2', () => {
  it('asks for matrices that are stored the other way round, and for learned positions', () => {
    assert.deepEqual(shapesOf(describeGpt2(config, 'LogProbs')), {
      'transformer.wte.weight': [40, 32],
      'transformer.wpe.weight': [64, 32],
      ...ofFirstLayer('transformer.h.0', {
        'ln_1.weight': [32],
        'ln_1.bias': [32],
        'attn.c_attn.weight': [32, 96],
        'attn.c_attn.bias': [96],
        'attn.c_proj.weight': [32, 32],
        'attn.c_proj.bias': [32],
        'ln_2.weight': [32],
        'ln_2.bias': [32],
        'mlp.c_fc.weight': [32, 128],
        'mlp.c_fc.bias': [128],
        'mlp.c_proj.weight': [128, 32],
        'mlp.c_proj.bias': [32],
      }),
      'transformer.ln_f.weight': [32],
      'transformer.ln_f.bias': [32],
    });
  });

  it('may have a head of its own, stored as others have it', () => {
    const given = { ...config, tie_word_embeddings: false };

    assert.deepEqual(shapesOf(describeGpt2(given, 'LogProbs'))['lm_head.weight'], [40, 32]);
  });

  it('has no rope, and rows as long as its positions', () => {
    const { ropes, contextTokens } = describeGpt2(config, 'LogProbs');

    assert.deepEqual([ropes, contextTokens], [[], 64]);
  });

  it('takes the inner size from config.json', () => {
    const shapes = shapesOf(describeGpt2({ ...config, n_inner: 50 }, 'LogProbs'));

    assert.deepEqual(shapes['transformer.h.0.mlp.c_fc.weight'], [32, 50]);
  });

  it('may scale attention by the index of the layer, or not at all', () => {
    const root = 1 / Math.sqrt(8);

    assert.deepEqual(scalesOf({}), [root, root]);
    assert.deepEqual(scalesOf({ scale_attn_by_inverse_layer_idx: true }), [root, root / 2]);
    assert.deepEqual(scalesOf({ scale_attn_weights: false }), [1, 1]);
  });

  it('may be a reward model', () => {
    assert.deepEqual(shapesOf(describeGpt2(config, 'Reward'))['score.weight'], [2, 32]);
  });

  it('refuses activations that are not known', () => {
    assert.throws(() => scalesOf({ activation_function: 'mish' }), {
      code: 'UNSUPPORTED_ARCHITECTURE',
      message: /gelu_new/,
    });
  });
});
