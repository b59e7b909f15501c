import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FloatTensor } from '../../../../../server/model/checkpoint/tensors.ts';
import { formatsOf, planTensors } from '../../../../../server/model/convert/plan.ts';
import { describeModel } from '../../../../../server/onnx/arch/registry.ts';
import { tinyLlamaConfig } from '../../../../support/llama-checkpoint.ts';

const llama = describeModel(tinyLlamaConfig);
const gpt2 = describeModel({
  architectures: ['GPT2LMHeadModel'],
  vocab_size: 40,
  n_positions: 64,
  n_embd: 32,
  n_layer: 1,
  n_head: 4,
});

const formatIn = (
  blueprint: ReturnType<typeof describeModel>,
  quantization: Parameters<typeof formatsOf>[1],
  name: string,
) => [...formatsOf(blueprint, quantization)].find(([spec]) => spec.name === name)?.[1];

describe('formatsOf', () => {
  const table = [
    { quantization: 'None', layer: 'AsIs', vocabulary: 'AsIs' },
    { quantization: 'Int8', layer: 'Int8', vocabulary: 'Int8' },
    { quantization: 'Int4', layer: 'Int4', vocabulary: 'Int8' },
    { quantization: 'NF4', layer: 'NF4', vocabulary: 'AsIs' },
  ] as const;
  for (const { quantization, layer, vocabulary } of table) {
    it(`${quantization}: layers ${layer}, embedding and output projection ${vocabulary}, norms as they are`, () => {
      const format = (name: string) => formatIn(llama, quantization, name);

      assert.equal(format('model.layers.1.mlp.down_proj.weight'), layer);
      assert.equal(format('model.embed_tokens.weight'), vocabulary);
      assert.equal(format('lm_head.weight'), vocabulary);
      assert.equal(format('model.norm.weight'), 'AsIs');
    });
  }

  it('leaves learned positions, routers and scores of rewards alone', () => {
    const reward = describeModel({
      ...tinyLlamaConfig,
      architectures: ['LlamaForSequenceClassification'],
    });
    const mixture = describeModel({ ...tinyLlamaConfig, architectures: ['MixtralForCausalLM'] });

    assert.equal(formatIn(gpt2, 'Int8', 'transformer.wpe.weight'), 'AsIs');
    assert.equal(formatIn(reward, 'Int8', 'score.weight'), 'AsIs');
    assert.equal(formatIn(mixture, 'Int8', 'model.layers.0.block_sparse_moe.gate.weight'), 'AsIs');
  });

  it('leaves a vocabulary alone whose rows are no whole blocks', () => {
    const narrow = describeModel({
      ...tinyLlamaConfig,
      hidden_size: 40,
      num_attention_heads: 5,
      num_key_value_heads: 1,
    });

    assert.equal(formatIn(narrow, 'Int8', 'model.embed_tokens.weight'), 'AsIs');
    assert.equal(formatIn(narrow, 'Int8', 'model.layers.0.mlp.up_proj.weight'), 'Int8');
  });

  it('names a tied tensor once', () => {
    const tied = describeModel({ ...tinyLlamaConfig, tie_word_embeddings: true });
    const names = [...formatsOf(tied, 'Int8').keys()].map(({ name }) => name);

    assert.equal(names.length, new Set(names).size);
  });
});

describe('planTensors', () => {
  it('gives matrices as the graph multiplies by them, also those that are stored the other way round', () => {
    const sources = new Map(
      gpt2.tensors.map(({ name, shape }): [string, FloatTensor] => {
        return [name, { type: 'float32', shape, data: { file: '/f', offset: 0, length: 0 } }];
      }),
    );

    const plan = planTensors(gpt2, sources, 'Int8');

    const up = plan.find(({ name }) => name === 'transformer.h.0.mlp.c_fc.weight');
    assert.deepEqual(up?.source.shape, [32, 128]);
    assert.deepEqual([up?.rows, up?.columns, up?.isTransposed], [128, 32, true]);
  });

  it('leaves v projections that heads share in 16 bits under Int8, and gives them 8 under Int4', () => {
    const formatOf = (type: 'bfloat16' | 'float32', quantization: 'Int8' | 'Int4') => {
      const sources = new Map(
        llama.tensors.map(({ name, shape }): [string, FloatTensor] => {
          return [name, { type, shape, data: { file: '/f', offset: 0, length: 0 } }];
        }),
      );
      const plan = planTensors(llama, sources, quantization);
      return plan.find(({ name }) => name.endsWith('0.self_attn.v_proj.weight'))?.format;
    };

    assert.equal(formatOf('bfloat16', 'Int8'), 'AsIs');
    assert.equal(formatOf('float32', 'Int8'), 'Int8');
    assert.equal(formatOf('bfloat16', 'Int4'), 'Int8');
  });
});
