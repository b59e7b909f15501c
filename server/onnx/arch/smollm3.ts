// SmolLM 3: Llama in which every few layers know no positions.
// Source: Hugging Face transformers, models/smollm3/modeling_smollm3.py; NoPE is arXiv:2501.18795.
import { z } from 'zod';
import {
  common,
  type Family,
  gatedMlp,
  headsOf,
  layersOf,
  layerTypes,
  preNorms,
  separateAttention,
  size,
  slides,
  trunk,
} from './common.ts';
import { invalidConfig, parseModelConfig } from './config.ts';
import { contextOf, parseRope } from './rope-config.ts';

const schema = common.extend({
  num_key_value_heads: size.nullable().default(4),
  max_position_embeddings: size.default(32_768),
  tie_word_embeddings: z.boolean().default(true),
  no_rope_layers: z.array(z.int()).nullish(),
  no_rope_layer_interval: size.default(4),
  use_sliding_window: z.boolean().default(false),
  sliding_window: size.nullish(),
  layer_types: layerTypes,
});
type Config = z.output<typeof schema>;

export const describeSmolLm3: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim: headsOf(c).headDim, theta: 2e6 });
  return {
    ...trunk(c, config, task),
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path, index) => ({
      ...preNorms(path, c),
      attention: { ...separateAttention(path, c), window: windowOf(c, index) },
      ...(knowsPositions(c, index) && { rope: 0 }),
      mlp: gatedMlp(`${path}.mlp`, c),
    })),
  };
};

function knowsPositions(c: Config, index: number): boolean {
  if (!c.no_rope_layers) return (index + 1) % c.no_rope_layer_interval !== 0;
  const knows = c.no_rope_layers[index];
  if (knows === undefined) throw invalidConfig(`no_rope_layers ends before layer ${index}`);
  return knows !== 0;
}

function windowOf(c: Config, index: number): number | undefined {
  const isWindowed = slides(c.layer_types, index, !knowsPositions(c, index));
  return isWindowed && c.use_sliding_window ? (c.sliding_window ?? undefined) : undefined;
}
