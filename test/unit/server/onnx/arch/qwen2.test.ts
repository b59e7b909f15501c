import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeQwen2, windowOf } from '../../../../../server/onnx/arch/qwen2.ts';
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

const config = { ...tinyConfig, num_hidden_layers: 3 };
const windows = (changes: object) =>
  windowsOf(describeQwen2({ ...config, ...changes }, 'LogProbs'));

describe('describeQwen2', () => {
  it('asks for the tensors of Llama and biases of q, k and v', () => {
    assert.deepEqual(shapesOf(describeQwen2(tinyConfig, 'LogProbs')), {
      ...llamaTrunk,
      ...ofFirstLayer('model.layers.0', {
        ...llamaAttention,
        'self_attn.q_proj.bias': [32],
        'self_attn.k_proj.bias': [16],
        'self_attn.v_proj.bias': [16],
        ...llamaMlp,
        ...llamaNorms,
      }),
      ...llamaHead,
    });
  });

  it('asks for no head where it is tied or gives rewards', () => {
    const tied = describeQwen2({ ...config, tie_word_embeddings: true }, 'LogProbs');

    assert.ok(!namesOf(tied).includes('lm_head.weight'), 'the head is asked for');
    assert.deepEqual(shapesOf(describeQwen2(config, 'Reward'))['score.weight'], [2, 32]);
  });

  const none = [undefined, undefined, undefined];
  const slides = { use_sliding_window: true, sliding_window: 9 };
  const [full, sliding] = ['full_attention', 'sliding_attention'];
  const cases = [
    { what: 'no layer without use_sliding_window', given: { sliding_window: 9 }, expected: none },
    {
      what: 'the layers from max_window_layers on',
      given: { ...slides, max_window_layers: 1 },
      expected: [undefined, 9, 9],
    },
    {
      what: 'the layers that layer_types names',
      given: { ...slides, layer_types: [sliding, full, sliding] },
      expected: [9, undefined, 9],
    },
    {
      what: 'no layer with a window of null',
      given: { ...slides, sliding_window: null, max_window_layers: 0 },
      expected: none,
    },
    {
      what: '4096 tokens where the size is missing',
      given: { use_sliding_window: true, max_window_layers: 2 },
      expected: [undefined, undefined, 4096],
    },
  ];
  for (const { what, given, expected } of cases) {
    it(`has windows in ${what}`, () => assert.deepEqual(windows(given), expected));
  }

  it('refuses other kinds of layers, also where no window is used', () => {
    assert.throws(() => windows({ layer_types: [full, full, 'linear_attention'] }), {
      code: 'UNSUPPORTED_ARCHITECTURE',
      message: /full_attention, sliding_attention/,
    });
    assert.throws(() => windows({ layer_types: [full] }), { code: 'CONFIG_INVALID' });
  });
});

describe('windowOf', () => {
  it('is that of one layer', () => {
    const fields = { use_sliding_window: true, sliding_window: 5, max_window_layers: 1 };

    assert.deepEqual([windowOf(fields, 0), windowOf(fields, 1)], [undefined, 5]);
  });
});
