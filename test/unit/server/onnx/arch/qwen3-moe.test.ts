import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeQwen3Moe } from '../../../../../server/onnx/arch/qwen3-moe.ts';
import {
  llamaAttention,
  llamaHead,
  llamaNorms,
  llamaTrunk,
  namesOf,
  ofFirstLayer,
  shapesOf,
  tinyConfig,
  windowsOf,
} from '../../../../support/decoders.ts';

const config = {
  ...tinyConfig,
  head_dim: 16,
  num_experts: 2,
  num_experts_per_tok: 2,
  moe_intermediate_size: 12,
};
const kindsOf = (changes: object) =>
  describeQwen3Moe({ ...config, num_hidden_layers: 4, ...changes }, 'LogProbs').layers.map(
    ({ mlp }) => mlp.kind,
  );
const expertsOf = (changes: object) => {
  const [layer] = describeQwen3Moe({ ...config, ...changes }, 'LogProbs').layers;
  assert.ok(layer?.mlp.kind === 'Experts', 'the first layer is dense');
  return layer.mlp;
};

describe('describeQwen3Moe', () => {
  it('asks for the attention of Qwen 3, a router, and three matrices of each expert', () => {
    const expert = { 'gate_proj.weight': [12, 32], 'up_proj.weight': [12, 32] };
    assert.deepEqual(shapesOf(describeQwen3Moe(config, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', {
        ...llamaAttention,
        'self_attn.q_proj.weight': [64, 32],
        'self_attn.k_proj.weight': [32, 32],
        'self_attn.v_proj.weight': [32, 32],
        'self_attn.o_proj.weight': [32, 64],
        'self_attn.q_norm.weight': [16],
        'self_attn.k_norm.weight': [16],
        ...llamaNorms,
        'mlp.gate.weight': [2, 32],
        ...ofFirstLayer('mlp.experts.0', { ...expert, 'down_proj.weight': [32, 12] }),
        ...ofFirstLayer('mlp.experts.1', { ...expert, 'down_proj.weight': [32, 12] }),
      }),
      ...llamaHead,
    });
  });

  it('keeps the router exact', () => {
    assert.equal(expertsOf({}).router.isExact, true);
  });

  it('counts experts by either name, and has 128 where neither is given', () => {
    const none = { num_experts: undefined };

    assert.equal(expertsOf({ ...none, num_local_experts: 3 }).experts.length, 3);
    assert.equal(expertsOf(none).experts.length, 128);
    assert.equal(expertsOf({ num_experts: 4, num_local_experts: 3 }).experts.length, 4);
  });

  it('scales the chosen to a sum of one only where config.json says so', () => {
    assert.equal(expertsOf({}).isNormalized, false);
    assert.equal(expertsOf({ norm_topk_prob: true }).isNormalized, true);
  });

  it('may have dense layers among the sparse', () => {
    assert.deepEqual(kindsOf({}), ['Experts', 'Experts', 'Experts', 'Experts']);
    assert.deepEqual(kindsOf({ mlp_only_layers: [0, 3] }), [
      'Gated',
      'Experts',
      'Experts',
      'Gated',
    ]);
    assert.deepEqual(kindsOf({ decoder_sparse_step: 2 }), ['Gated', 'Experts', 'Gated', 'Experts']);
    assert.deepEqual(kindsOf({ num_experts: 0 }), ['Gated', 'Gated', 'Gated', 'Gated']);
  });

  it('has its window in every layer', () => {
    const windows = (changes: object) =>
      windowsOf(describeQwen3Moe({ ...config, ...changes }, 'LogProbs'));

    assert.deepEqual(windows({ sliding_window: 5 }), [undefined]);
    assert.deepEqual(windows({ sliding_window: 5, use_sliding_window: true }), [5]);
  });

  it('refuses tokens that go to more experts than there are', () => {
    assert.throws(() => expertsOf({ num_experts_per_tok: 3 }), { code: 'CONFIG_INVALID' });
  });

  it('may be a reward model', () => {
    assert.ok(namesOf(describeQwen3Moe(config, 'Reward')).includes('score.weight'), 'no score');
  });
});
