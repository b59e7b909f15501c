// Qwen 2 and 2.5: Llama with biases on q, k and v, and windows in the upper layers of some.
// Source: Hugging Face transformers, models/qwen2/modeling_qwen2.py.
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
import { parseModelConfig } from './config.ts';
import { contextOf, parseRope } from './rope-config.ts';

/** Which layers slide, in the fields that Qwen 2 and 3 share. */
export const windowFields = {
  use_sliding_window: z.boolean().default(false),
  sliding_window: size.nullable().default(4096),
  max_window_layers: z.int().min(0).default(28),
  layer_types: layerTypes,
};
type WindowFields = z.output<z.ZodObject<typeof windowFields>>;

const schema = common.extend({
  max_position_embeddings: size.default(32_768),
  ...windowFields,
});

/** The window of layer `index`, if it has one. */
export function windowOf(c: WindowFields, index: number): number | undefined {
  const isWindowed = slides(c.layer_types, index, index >= c.max_window_layers);
  return isWindowed && c.use_sliding_window ? (c.sliding_window ?? undefined) : undefined;
}

export const describeQwen2: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim: headsOf(c).headDim });
  return {
    ...trunk(c, config, task),
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path, index) => ({
      ...preNorms(path, c),
      attention: {
        ...separateAttention(path, c, { qkv: true, output: false }),
        window: windowOf(c, index),
      },
      rope: 0,
      mlp: gatedMlp(`${path}.mlp`, c),
    })),
  };
};
