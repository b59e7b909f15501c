// Granite: Llama with constant factors on the embedding, the attention logits, the residual sums and the output logits.
// Source: Hugging Face transformers, models/granite/modeling_granite.py.
import { z } from 'zod';
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

const factor = z.number().positive().default(1);

const schema = common.extend({
  embedding_multiplier: factor,
  attention_multiplier: factor,
  residual_multiplier: factor,
  logits_scaling: factor,
});

export const describeGranite: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim: headsOf(c).headDim });
  const base = trunk(c, config, task);
  return {
    ...base,
    embedding: { ...base.embedding, scale: c.embedding_multiplier },
    head: { ...base.head, ...(task === 'LogProbs' && { scale: 1 / c.logits_scaling }) },
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path) => ({
      ...preNorms(path, c),
      attention: { ...separateAttention(path, c), scale: c.attention_multiplier },
      rope: 0,
      mlp: gatedMlp(`${path}.mlp`, c),
      residualScale: c.residual_multiplier,
    })),
  };
};
