// Gemma 3, of models with images the text part only: Gemma 2 with norms over each head of q and k instead of the soft caps, and slower rotation in the
// layers without a window.
// Source: Hugging Face transformers, models/gemma3/modeling_gemma3.py and configuration_gemma3.py.
import { z } from 'zod';
import type { Rope } from '../blocks/rope.ts';
import {
  common,
  type Family,
  gatedMlp,
  headsOf,
  innerAndOuterNorms,
  layersOf,
  layerTypes,
  separateAttention,
  size,
  slides,
} from './common.ts';
import { parseModelConfig, refuseOtherAttention } from './config.ts';
import { gemmaActivation, gemmaFields, gemmaTrunk, shifted } from './gemma.ts';
import { parseRope } from './rope-config.ts';

/** The files of the larger models leave out what equals these. */
const schema = common.extend({
  ...gemmaFields,
  vocab_size: size.default(262_208),
  num_attention_heads: size.default(8),
  num_key_value_heads: size.nullable().default(4),
  max_position_embeddings: size.default(131_072),
  query_pre_attn_scalar: z.number().positive().default(256),
  sliding_window: size.nullable().default(4096),
  sliding_window_pattern: size.default(6),
  layer_types: layerTypes,
  rope_theta: z.number().positive().default(1e6),
  rope_local_base_freq: z.number().positive().default(10_000),
  rope_scaling: z.unknown().optional(),
  rope_parameters: z
    .object({ full_attention: z.unknown().optional(), sliding_attention: z.unknown().optional() })
    .nullish(),
  final_logit_softcapping: z.number().positive().nullish(),
});
type Config = z.output<typeof schema>;

export const describeGemma3: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const { headDim } = headsOf(c);
  const [full, sliding] = ropesOf(c, headDim);
  const base = gemmaTrunk(c, config, task);
  const softcap = c.final_logit_softcapping ?? undefined;
  return {
    ...base,
    head: { ...base.head, ...(task === 'LogProbs' && { softcap }) },
    contextTokens: c.max_position_embeddings, // of the scaled rope already
    ropes: [full, sliding],
    layers: layersOf(c, (path, index) => ({
      ...innerAndOuterNorms(path, (name) => shifted(name, c)),
      attention: {
        ...separateAttention(path, c),
        qNorm: shifted(`${path}.self_attn.q_norm`, c, headDim),
        kNorm: shifted(`${path}.self_attn.k_norm`, c, headDim),
        scale: c.query_pre_attn_scalar ** -0.5,
        window: isWindowed(c, index) ? (c.sliding_window ?? undefined) : undefined,
      },
      rope: isWindowed(c, index) ? 1 : 0,
      mlp: gatedMlp(`${path}.mlp`, c, { activation: gemmaActivation(c) }),
    })),
  };
};

const withImages = z.object({
  text_config: z.looseObject({}),
  num_labels: z.unknown().optional(),
  id2label: z.unknown().optional(),
});

/** The larger models: the same with images, in whose config.json all that is about text has its own place. */
export const describeGemma3WithImages: Family = (config, task) => {
  const { text_config: text, ...labels } = parseModelConfig(withImages, config);
  refuseOtherAttention(text);
  return describeGemma3({ ...labels, ...text }, task);
};

const isWindowed = (c: Config, index: number): boolean =>
  slides(c.layer_types, index, (index + 1) % c.sliding_window_pattern !== 0);

/** Of the layers without a window, and of those with one. Only the first kind is scaled. */
function ropesOf(c: Config, headDim: number): [Rope, Rope] {
  const positions = c.max_position_embeddings;
  const { full_attention: full, sliding_attention: sliding } = c.rope_parameters ?? {};
  const older = { rope_scaling: c.rope_scaling, rope_parameters: full };
  return [
    parseRope(older, { positions, headDim, theta: c.rope_theta }),
    parseRope({ rope_parameters: sliding }, { positions, headDim, theta: c.rope_local_base_freq }),
  ];
}
