// OLMo 2: Llama with the norms after attention and mlp instead of before, and norms over all of q and all of k.
// Source: Hugging Face transformers, models/olmo2/modeling_olmo2.py.
import {
  common,
  type Family,
  gatedMlp,
  headsOf,
  layersOf,
  rms,
  separateAttention,
  trunk,
} from './common.ts';
import { parseModelConfig } from './config.ts';
import { contextOf, parseRope } from './rope-config.ts';

const schema = common.extend({ rms_norm_eps: common.shape.rms_norm_eps.default(1e-5) });

export const describeOlmo2: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const { heads, kvHeads, headDim } = headsOf(c);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim });
  return {
    ...trunk(c, config, task),
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path) => ({
      attention: {
        ...separateAttention(path, c),
        qNorm: rms(`${path}.self_attn.q_norm`, c, heads * headDim),
        kNorm: rms(`${path}.self_attn.k_norm`, c, kvHeads * headDim),
      },
      afterAttention: rms(`${path}.post_attention_layernorm`, c),
      rope: 0,
      mlp: gatedMlp(`${path}.mlp`, c),
      afterMlp: rms(`${path}.post_feedforward_layernorm`, c),
    })),
  };
};
