import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describePhi3 } from '../../../../../server/onnx/arch/phi3.ts';
import {
  llamaHead,
  llamaNorms,
  llamaTrunk,
  ofFirstLayer,
  shapesOf,
  tinyConfig,
  windowsOf,
} from '../../../../support/decoders.ts';

const factors = { short_factor: [1, 1, 1, 1], long_factor: [2, 2, 2, 2] };

describe('describePhi3', () => {
  it('asks for q, k and v in one matrix, gate and up in another', () => {
    assert.deepEqual(shapesOf(describePhi3(tinyConfig, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', {
        'self_attn.qkv_proj.weight': [64, 32],
        'self_attn.o_proj.weight': [32, 32],
        'mlp.gate_up_proj.weight': [96, 32],
        'mlp.down_proj.weight': [32, 48],
        ...llamaNorms,
      }),
      ...llamaHead,
    });
  });

  it('may turn a part of each head', () => {
    const { ropes } = describePhi3({ ...tinyConfig, partial_rotary_factor: 0.75 }, 'LogProbs');

    assert.equal(ropes[0]?.dim, 6);
  });

  it('was first trained on 4096 tokens where config.json does not say', () => {
    const rope_scaling = { type: 'su', ...factors };
    const given = { ...tinyConfig, max_position_embeddings: 8192, rope_scaling };

    const [rope] = describePhi3(given, 'LogProbs').ropes;

    assert.ok(rope?.type === 'longrope', `${rope?.type}`);
    assert.equal(rope.originalPositions, 4096);
    assert.equal(rope.attentionFactor, Math.sqrt(1 + Math.log(2) / Math.log(4096)));
  });

  it('has its window in every layer', () => {
    const given = { ...tinyConfig, num_hidden_layers: 2, sliding_window: 7 };

    assert.deepEqual(windowsOf(describePhi3(given, 'LogProbs')), [7, 7]);
    assert.deepEqual(windowsOf(describePhi3(tinyConfig, 'LogProbs')), [undefined]);
  });

  it('refuses other scalings than its own', () => {
    const given = { ...tinyConfig, rope_scaling: { type: 'yarn', factor: 4 } };

    assert.throws(() => describePhi3(given, 'LogProbs'), {
      code: 'UNSUPPORTED_ARCHITECTURE',
      message: /longrope/,
    });
  });

  it('may be a reward model', () => {
    assert.deepEqual(shapesOf(describePhi3(tinyConfig, 'Reward'))['score.weight'], [2, 32]);
  });
});
