// Mixtral: Mistral whose feed-forward layers are sparse mixtures of experts.
// Source: Hugging Face transformers, models/mixtral/modeling_mixtral.py.
import type { z } from 'zod';
import type { Experts } from '../blocks/experts.ts';
import type { Mlp } from '../blocks/mlp.ts';
import {
  activationOf,
  common,
  type Family,
  headsOf,
  layersOf,
  mixtureOf,
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
  rms_norm_eps: common.shape.rms_norm_eps.default(1e-5),
  sliding_window: size.nullish(),
  num_local_experts: size.default(8),
  num_experts_per_tok: size.default(2),
});
type Config = z.output<typeof schema>;

export const describeMixtral: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim: headsOf(c).headDim, theta: 1e6 });
  const window = c.sliding_window ?? undefined;
  return {
    ...trunk(c, config, task),
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path) => ({
      ...preNorms(path, c),
      attention: { ...separateAttention(path, c, { qkv: false, output: false }), window },
      rope: 0,
      mlp: experts(`${path}.block_sparse_moe`, c),
    })),
  };
};

const experts = (path: string, c: Config): Experts =>
  mixtureOf({
    router: {
      name: `${path}.gate`,
      rows: c.num_local_experts,
      columns: c.hidden_size,
      isExact: true,
    },
    experts: Array.from({ length: c.num_local_experts }, (_, e) =>
      expert(`${path}.experts.${e}`, c),
    ),
    perToken: c.num_experts_per_tok,
    isNormalized: true,
  });

const expert = (path: string, c: Config): Mlp => {
  const inward = { rows: c.intermediate_size, columns: c.hidden_size };
  return {
    kind: 'Gated',
    gate: { name: `${path}.w1`, ...inward, isTolerant: true },
    up: { name: `${path}.w3`, ...inward },
    down: { name: `${path}.w2`, rows: c.hidden_size, columns: c.intermediate_size },
    activation: activationOf(c.hidden_act),
  };
};
