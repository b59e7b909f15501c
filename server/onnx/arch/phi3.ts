// Phi-3 and Phi-4: Llama with q, k and v in one matrix, gate and up in another.
// Source: Hugging Face transformers, models/phi3/modeling_phi3.py.
import {
  activationOf,
  common,
  type Family,
  headsOf,
  layersOf,
  preNorms,
  size,
  trunk,
} from './common.ts';
import { parseModelConfig, unsupported } from './config.ts';
import { contextOf, parseRope } from './rope-config.ts';

const schema = common.extend({
  max_position_embeddings: size.default(4096),
  original_max_position_embeddings: size.default(4096),
  rms_norm_eps: common.shape.rms_norm_eps.default(1e-5),
  sliding_window: size.nullish(),
});

export const describePhi3: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const heads = headsOf(c);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, {
    positions,
    originalPositions: c.original_max_position_embeddings,
    headDim: heads.headDim,
  });
  if (rope.type !== 'default' && rope.type !== 'longrope') {
    throw unsupported(`rope scaling "${rope.type}" of Phi-3`, ['default', 'longrope', 'su']);
  }
  const { hidden_size: hidden, intermediate_size: intermediate } = c;
  const width = heads.heads * heads.headDim;
  const qkvRows = width + 2 * heads.kvHeads * heads.headDim;
  return {
    ...trunk(c, config, task),
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path) => ({
      ...preNorms(path, c),
      attention: {
        ...heads,
        qkv: {
          kind: 'Fused',
          qkv: { name: `${path}.self_attn.qkv_proj`, rows: qkvRows, columns: hidden },
        },
        output: { name: `${path}.self_attn.o_proj`, rows: hidden, columns: width },
        window: c.sliding_window ?? undefined,
      },
      rope: 0,
      mlp: {
        kind: 'GatedFused',
        gateUp: { name: `${path}.mlp.gate_up_proj`, rows: 2 * intermediate, columns: hidden },
        down: { name: `${path}.mlp.down_proj`, rows: hidden, columns: intermediate },
        activation: activationOf(c.hidden_act),
      },
    })),
  };
};
