import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeMistral } from '../../../../../server/onnx/arch/mistral.ts';
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

const config = { ...tinyConfig, num_hidden_layers: 2, sliding_window: 7 };

describe('describeMistral', () => {
  it('asks for the tensors of Llama', () => {
    assert.deepEqual(shapesOf(describeMistral({ ...config, num_hidden_layers: 1 }, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', { ...llamaAttention, ...llamaMlp, ...llamaNorms }),
      ...llamaHead,
    });
  });

  it('has its window in every layer, or none', () => {
    const windows = (changes: object) =>
      windowsOf(describeMistral({ ...config, ...changes }, 'LogProbs'));

    assert.deepEqual(windows({}), [7, 7]);
    assert.deepEqual(windows({ sliding_window: undefined }), [4096, 4096]);
    assert.deepEqual(windows({ sliding_window: null }), [undefined, undefined]);
  });

  it('has no biases in attention whatever config.json says', () => {
    assert.deepEqual(
      namesOf(describeMistral({ ...config, attention_bias: true }, 'LogProbs'), '.bias'),
      [],
    );
  });

  it('has eight heads for keys and values, and rows of 131072, where config.json says nothing', () => {
    const sizes = { num_attention_heads: 8, num_key_value_heads: undefined };
    const given = { ...config, ...sizes, max_position_embeddings: undefined };

    const { layers, contextTokens } = describeMistral(given, 'LogProbs');

    assert.equal(layers[0]?.attention.kvHeads, 8);
    assert.equal(contextTokens, 131_072);
  });

  it('may be a reward model', () => {
    const { head } = describeMistral({ ...config, num_labels: 1 }, 'Reward');

    assert.equal(head.task === 'Reward' && head.score.rows, 1);
  });
});
