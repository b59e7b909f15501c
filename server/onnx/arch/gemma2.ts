// Gemma 2: Gemma with norms around attention and mlp, soft caps on the logits, and windows in every other layer.
// Source: Hugging Face transformers, models/gemma2/modeling_gemma2.py.
import { z } from 'zod';
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
import { parseModelConfig } from './config.ts';
import { gemmaActivation, gemmaFields, gemmaTrunk, shifted } from './gemma.ts';
import { contextOf, parseRope } from './rope-config.ts';

const cap = z.number().positive().nullable();

const schema = common.extend({
  ...gemmaFields,
  query_pre_attn_scalar: z.number().positive().default(256),
  sliding_window: size.nullable().default(4096),
  layer_types: layerTypes,
  final_logit_softcapping: cap.default(30),
  attn_logit_softcapping: cap.default(50),
});
type Config = z.output<typeof schema>;

export const describeGemma2: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim: headsOf(c).headDim });
  const base = gemmaTrunk(c, config, task);
  const softcap = c.final_logit_softcapping ?? undefined;
  return {
    ...base,
    head: { ...base.head, ...(task === 'LogProbs' && { softcap }) },
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path, index) => ({
      ...innerAndOuterNorms(path, (name) => shifted(name, c)),
      attention: {
        ...separateAttention(path, c),
        scale: c.query_pre_attn_scalar ** -0.5,
        softcap: c.attn_logit_softcapping ?? undefined,
        window: windowOf(c, index),
      },
      rope: 0,
      mlp: gatedMlp(`${path}.mlp`, c, { activation: gemmaActivation(c) }),
    })),
  };
};

function windowOf(c: Config, index: number): number | undefined {
  const isWindowed = slides(c.layer_types, index, index % 2 === 0);
  return isWindowed ? (c.sliding_window ?? undefined) : undefined;
}
