// Qwen 3 MoE: Qwen 3 whose feed-forward layers are sparse mixtures of experts.
// Source: Hugging Face transformers, models/qwen3_moe/modeling_qwen3_moe.py.
import { z } from 'zod';
import type { Experts } from '../blocks/experts.ts';
import {
  common,
  type Family,
  gatedMlp,
  headsOf,
  layersOf,
  mixtureOf,
  preNorms,
  size,
  trunk,
} from './common.ts';
import { parseModelConfig } from './config.ts';
import { qwen3Attention } from './qwen3.ts';
import { contextOf, parseRope } from './rope-config.ts';

const schema = common.extend({
  max_position_embeddings: size.default(32_768),
  num_key_value_heads: size.nullable().default(4),
  num_experts: z.int().min(0).optional(),
  /** What transformers 5 calls num_experts. */
  num_local_experts: z.int().min(0).default(128),
  num_experts_per_tok: size.default(8),
  moe_intermediate_size: size.default(768),
  norm_topk_prob: z.boolean().default(false),
  decoder_sparse_step: size.default(1),
  mlp_only_layers: z.array(z.int()).nullish(),
  use_sliding_window: z.boolean().default(false),
  sliding_window: size.nullable().default(4096),
});
type Config = z.output<typeof schema>;

export const describeQwen3Moe: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim: headsOf(c).headDim });
  const window = c.use_sliding_window ? (c.sliding_window ?? undefined) : undefined;
  return {
    ...trunk(c, config, task),
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path, index) => ({
      ...preNorms(path, c),
      attention: { ...qwen3Attention(path, c), window },
      rope: 0,
      mlp: isSparse(c, index) ? experts(`${path}.mlp`, c) : gatedMlp(`${path}.mlp`, c),
    })),
  };
};

const expertCount = (c: Config): number => c.num_experts ?? c.num_local_experts;

const isSparse = (c: Config, index: number): boolean =>
  expertCount(c) > 0 &&
  (index + 1) % c.decoder_sparse_step === 0 &&
  !(c.mlp_only_layers ?? []).includes(index);

const experts = (path: string, c: Config): Experts =>
  mixtureOf({
    router: { name: `${path}.gate`, rows: expertCount(c), columns: c.hidden_size, isExact: true },
    experts: Array.from({ length: expertCount(c) }, (_, e) =>
      gatedMlp(`${path}.experts.${e}`, c, { intermediate: c.moe_intermediate_size }),
    ),
    perToken: c.num_experts_per_tok,
    isNormalized: c.norm_topk_prob,
  });
