// Llama 1 to 3: rotary grouped-query attention and a gated MLP, each after a root mean square norm.
// Source: Hugging Face transformers, models/llama/modeling_llama.py; the tensor names are those of its checkpoints.
import {
  common,
  type Family,
  gatedMlp,
  headsOf,
  layersOf,
  preNorms,
  separateAttention,
  trunk,
} from './common.ts';
import { parseModelConfig } from './config.ts';
import { contextOf, parseRope } from './rope-config.ts';

export const describeLlama: Family = (config, task) => {
  const c = parseModelConfig(common, config);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim: headsOf(c).headDim });
  return {
    ...trunk(c, config, task),
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path) => ({
      ...preNorms(path, c),
      attention: separateAttention(path, c),
      rope: 0,
      mlp: gatedMlp(`${path}.mlp`, c),
    })),
  };
};
