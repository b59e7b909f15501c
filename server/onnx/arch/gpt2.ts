// GPT-2: learned positions, layer norms with biases, matrices stored the other way round.
// Source: Hugging Face transformers, models/gpt2/modeling_gpt2.py.
import { z } from 'zod';
import type { Norm } from '../blocks/norm.ts';
import type { Linear } from '../blocks/weights.ts';
import { activationOf, type Family, headOf, headsOf, size } from './common.ts';
import { parseModelConfig } from './config.ts';
import type { Decoder, Layer } from './decoder.ts';

const schema = z.object({
  vocab_size: size,
  n_positions: size.default(1024),
  n_embd: size,
  n_layer: size.max(4096),
  n_head: size,
  n_inner: size.nullish(),
  activation_function: z.string().default('gelu_new'),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  tie_word_embeddings: z.boolean().default(true),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
});
type Config = z.output<typeof schema>;

export const describeGpt2: Family = (config, task): Decoder => {
  const c = parseModelConfig(schema, config);
  const { n_embd: hidden, vocab_size: vocabularySize, n_positions: positions } = c;
  const embedding = 'transformer.wte.weight';
  const tiedTo = c.tie_word_embeddings ? embedding : undefined;
  return {
    hidden,
    vocabularySize,
    contextTokens: positions,
    embedding: {
      name: embedding,
      positions: { name: 'transformer.wpe.weight', rows: positions },
    },
    ropes: [],
    layers: Array.from({ length: c.n_layer }, (_, index) => layer(c, index)),
    norm: norm('transformer.ln_f', c),
    head: headOf(config, task, {
      name: 'lm_head',
      rows: vocabularySize,
      columns: hidden,
      tiedTo,
    }),
  };
};

const norm = (name: string, c: Config): Norm => ({
  name,
  kind: 'Layer',
  length: c.n_embd,
  epsilon: c.layer_norm_epsilon,
});

const conv1d = (name: string, rows: number, columns: number): Linear => ({
  name,
  rows,
  columns,
  hasBias: true,
  isTransposed: true,
});

function layer(c: Config, index: number): Layer {
  const path = `transformer.h.${index}`;
  const { n_embd: hidden, n_inner: inner } = c;
  const intermediate = inner ?? 4 * hidden;
  const heads = headsOf({ hidden_size: hidden, num_attention_heads: c.n_head });
  const whole = c.scale_attn_weights ? 1 / Math.sqrt(heads.headDim) : 1;
  return {
    beforeAttention: norm(`${path}.ln_1`, c),
    attention: {
      ...heads,
      qkv: { kind: 'Fused', qkv: conv1d(`${path}.attn.c_attn`, 3 * hidden, hidden) },
      output: conv1d(`${path}.attn.c_proj`, hidden, hidden),
      scale: c.scale_attn_by_inverse_layer_idx ? whole / (index + 1) : whole,
    },
    beforeMlp: norm(`${path}.ln_2`, c),
    mlp: {
      kind: 'Plain',
      up: conv1d(`${path}.mlp.c_fc`, intermediate, hidden),
      down: conv1d(`${path}.mlp.c_proj`, hidden, intermediate),
      activation: activationOf(c.activation_function),
    },
  };
}
