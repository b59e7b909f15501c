import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeGranite } from '../../../../../server/onnx/arch/granite.ts';
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
} from '../../../../support/decoders.ts';

describe('describeGranite', () => {
  it('asks for the tensors of Llama', () => {
    assert.deepEqual(shapesOf(describeGranite(tinyConfig, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', { ...llamaAttention, ...llamaMlp, ...llamaNorms }),
      ...llamaHead,
    });
  });

  it('multiplies embedding, attention logits, residual sums and output logits', () => {
    const factors = {
      embedding_multiplier: 12,
      attention_multiplier: 0.25,
      residual_multiplier: 0.22,
      logits_scaling: 4,
    };

    const { embedding, layers, head } = describeGranite({ ...tinyConfig, ...factors }, 'LogProbs');

    assert.equal(embedding.scale, 12);
    assert.equal(layers[0]?.attention.scale, 0.25);
    assert.equal(layers[0]?.residualScale, 0.22);
    assert.equal(head.task === 'LogProbs' && head.scale, 1 / 4);
  });

  it('multiplies by one where config.json says nothing, attention logits too', () => {
    const { embedding, layers, head } = describeGranite(tinyConfig, 'LogProbs');

    const { attention, residualScale } = layers[0]!;
    assert.deepEqual([embedding.scale, attention.scale, residualScale], [1, 1, 1]);
    assert.equal(head.task === 'LogProbs' && head.scale, 1);
  });

  it('asks for biases where config.json has them', () => {
    const given = { ...tinyConfig, attention_bias: true, mlp_bias: true };

    assert.equal(namesOf(describeGranite(given, 'LogProbs'), '.bias').length, 7);
  });

  it('refuses a factor that is not positive', () => {
    const given = { ...tinyConfig, logits_scaling: 0 };

    assert.throws(() => describeGranite(given, 'LogProbs'), { code: 'CONFIG_INVALID' });
  });
});
