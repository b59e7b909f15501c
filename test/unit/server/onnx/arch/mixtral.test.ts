import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeMixtral } from '../../../../../server/onnx/arch/mixtral.ts';
import {
  llamaAttention,
  llamaHead,
  llamaNorms,
  llamaTrunk,
  ofFirstLayer,
  shapesOf,
  tinyConfig,
  windowsOf,
} from '../../../../support/decoders.ts';

const config = { ...tinyConfig, num_local_experts: 2 };

describe('describeMixtral', () => {
  it('asks for the attention of Llama, a router, and three matrices of each expert', () => {
    const expert = { 'w1.weight': [48, 32], 'w3.weight': [48, 32], 'w2.weight': [32, 48] };
    assert.deepEqual(shapesOf(describeMixtral(config, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', {
        ...llamaAttention,
        ...llamaNorms,
        'block_sparse_moe.gate.weight': [2, 32],
        ...ofFirstLayer('block_sparse_moe.experts.0', expert),
        ...ofFirstLayer('block_sparse_moe.experts.1', expert),
      }),
      ...llamaHead,
    });
  });

  it('sends a token to two of eight where config.json says nothing, shares scaled to one', () => {
    const [layer] = describeMixtral(tinyConfig, 'LogProbs').layers;

    assert.ok(layer?.mlp.kind === 'Experts', 'the layer is dense');
    const { experts, perToken, isNormalized, router } = layer.mlp;
    assert.deepEqual([experts.length, perToken, isNormalized], [8, 2, true]);
    assert.equal(router.isExact, true);
  });

  it('has a window only where config.json has one', () => {
    const windows = (changes: object) =>
      windowsOf(describeMixtral({ ...config, ...changes }, 'LogProbs'));

    assert.deepEqual(windows({}), [undefined]);
    assert.deepEqual(windows({ sliding_window: 9 }), [9]);
  });

  it('turns by a base of a million where config.json says nothing', () => {
    assert.equal(describeMixtral(config, 'LogProbs').ropes[0]?.theta, 1e6);
  });

  it('refuses tokens that go to more experts than there are', () => {
    const given = { ...config, num_experts_per_tok: 3 };

    assert.throws(() => describeMixtral(given, 'LogProbs'), { code: 'CONFIG_INVALID' });
  });

  it('may be a reward model', () => {
    assert.deepEqual(shapesOf(describeMixtral(config, 'Reward'))['score.weight'], [2, 32]);
  });
});
