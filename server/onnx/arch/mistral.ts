// Mistral: Llama whose layers see a window of the tokens before each.
// Source: Hugging Face transformers, models/mistral/modeling_mistral.py.
import {
  common,
  type Family,
  gatedMlp,
  headsOf,
  layersOf,
  preNorms,
  separateAttention,
  size,
  trunk,
} from './common.ts';
import { parseModelConfig } from './config.ts';
import { contextOf, parseRope } from './rope-config.ts';

const schema = common.extend({
  num_key_value_heads: size.nullable().default(8),
  max_position_embeddings: size.default(131_072),
  sliding_window: size.nullable().default(4096),
});

export const describeMistral: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim: headsOf(c).headDim });
  const window = c.sliding_window ?? undefined;
  return {
    ...trunk(c, config, task),
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path) => ({
      ...preNorms(path, c),
      attention: { ...separateAttention(path, c, { qkv: false, output: false }), window },
      rope: 0,
      mlp: gatedMlp(`${path}.mlp`, c),
    })),
  };
};
