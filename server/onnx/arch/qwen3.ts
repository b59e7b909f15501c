// Qwen 3: Llama with a norm over each head of q and k.
// Source: Hugging Face transformers, models/qwen3/modeling_qwen3.py.
import type { Attention } from '../blocks/attention.ts';
import {
  type Common,
  common,
  type Family,
  gatedMlp,
  headsOf,
  layersOf,
  preNorms,
  rms,
  separateAttention,
  size,
  trunk,
} from './common.ts';
import { parseModelConfig } from './config.ts';
import { windowFields, windowOf } from './qwen2.ts';
import { contextOf, parseRope } from './rope-config.ts';

const schema = common.extend({
  head_dim: size.default(128),
  max_position_embeddings: size.default(32_768),
  ...windowFields,
});

/** Shared with Qwen 3 MoE. */
export function qwen3Attention(path: string, c: Common): Attention {
  const { headDim } = headsOf(c);
  return {
    ...separateAttention(path, c),
    qNorm: rms(`${path}.self_attn.q_norm`, c, headDim),
    kNorm: rms(`${path}.self_attn.k_norm`, c, headDim),
  };
}

export const describeQwen3: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim: headsOf(c).headDim });
  return {
    ...trunk(c, config, task),
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path, index) => ({
      ...preNorms(path, c),
      attention: { ...qwen3Attention(path, c), window: windowOf(c, index) },
      rope: 0,
      mlp: gatedMlp(`${path}.mlp`, c),
    })),
  };
};
