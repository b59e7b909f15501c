// GPT-NeoX and Pythia: layer norms with biases, attention and mlp side by side, a quarter of each head rotated.
// Source: Hugging Face transformers, models/gpt_neox/modeling_gpt_neox.py.
import { z } from 'zod';
import type { Norm } from '../blocks/norm.ts';
import { activationOf, type Family, headOf, headsOf, size } from './common.ts';
import { parseModelConfig } from './config.ts';
import type { Decoder, Layer } from './decoder.ts';
import { contextOf, parseRope } from './rope-config.ts';

const schema = z.object({
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size.max(4096),
  num_attention_heads: size,
  hidden_act: z.string().default('gelu'),
  layer_norm_eps: z.number().positive().default(1e-5),
  max_position_embeddings: size.default(2048),
  attention_bias: z.boolean().default(true),
  tie_word_embeddings: z.boolean().default(false),
  use_parallel_residual: z.boolean().default(true),
  rotary_pct: z.number().positive().max(1).default(0.25),
  rotary_emb_base: z.number().positive().default(10_000),
});
type Config = z.output<typeof schema>;

export const describeGptNeoX: Family = (config, task): Decoder => {
  const c = parseModelConfig(schema, config);
  const { hidden_size: hidden, vocab_size: vocabularySize } = c;
  const positions = c.max_position_embeddings;
  const { headDim } = headsOf(c);
  const defaults = { positions, headDim, theta: c.rotary_emb_base, part: c.rotary_pct };
  const rope = parseRope(config, defaults);
  const embedding = 'gpt_neox.embed_in.weight';
  const tiedTo = c.tie_word_embeddings ? embedding : undefined;
  return {
    hidden,
    vocabularySize,
    contextTokens: contextOf(rope, positions),
    embedding: { name: embedding },
    ropes: [rope],
    layers: Array.from({ length: c.num_hidden_layers }, (_, index) =>
      layer(`gpt_neox.layers.${index}`, c),
    ),
    norm: norm('gpt_neox.final_layer_norm', c),
    head: headOf(config, task, {
      name: 'embed_out',
      rows: vocabularySize,
      columns: hidden,
      tiedTo,
    }),
  };
};

const norm = (name: string, c: Config): Norm => ({
  name,
  kind: 'Layer',
  length: c.hidden_size,
  epsilon: c.layer_norm_eps,
});

function layer(path: string, c: Config): Layer {
  const { hidden_size: hidden, intermediate_size: intermediate } = c;
  const side = { columns: hidden, hasBias: c.attention_bias };
  return {
    beforeAttention: norm(`${path}.input_layernorm`, c),
    attention: {
      ...headsOf(c),
      qkv: {
        kind: 'Interleaved',
        qkv: { name: `${path}.attention.query_key_value`, rows: 3 * hidden, ...side },
      },
      output: { name: `${path}.attention.dense`, rows: hidden, ...side },
    },
    rope: 0,
    beforeMlp: norm(`${path}.post_attention_layernorm`, c),
    mlp: {
      kind: 'Plain',
      up: {
        name: `${path}.mlp.dense_h_to_4h`,
        rows: intermediate,
        columns: hidden,
        hasBias: true,
      },
      down: {
        name: `${path}.mlp.dense_4h_to_h`,
        rows: hidden,
        columns: intermediate,
        hasBias: true,
      },
      activation: activationOf(c.hidden_act),
    },
    isParallel: c.use_parallel_residual,
  };
}
