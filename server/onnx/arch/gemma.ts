// Gemma 1: Llama with a scaled embedding, norms that hold their weight minus one, and a GELU gate.
// Source: Hugging Face transformers, models/gemma/modeling_gemma.py.
import { z } from 'zod';
import type { Norm } from '../blocks/norm.ts';
import {
  type Common,
  common,
  type Family,
  gatedMlp,
  headsOf,
  layersOf,
  rms,
  separateAttention,
  size,
  type Task,
  trunk,
} from './common.ts';
import { parseModelConfig } from './config.ts';
import type { Decoder } from './decoder.ts';
import { contextOf, parseRope } from './rope-config.ts';

/** Shared by all Gemmas. */
export const gemmaFields = {
  head_dim: size.default(256),
  max_position_embeddings: size.default(8192),
  tie_word_embeddings: z.boolean().default(true),
  hidden_activation: z.string().nullish(),
};

const tanhGelu = 'gelu_pytorch_tanh';

const schema = common.extend({ ...gemmaFields, hidden_act: z.string().default(tanhGelu) });

export const shifted = (name: string, c: Common, length = c.hidden_size): Norm => ({
  ...rms(name, c, length),
  isShifted: true,
});

export function gemmaTrunk(c: Common, config: unknown, task: Task): ReturnType<typeof trunk> {
  const base = trunk(c, config, task);
  const embedding: Decoder['embedding'] = { ...base.embedding, scale: Math.sqrt(c.hidden_size) };
  return { ...base, embedding, norm: shifted('model.norm', c) };
}

/** Of Gemma 2 and 3, whatever hidden_act says. */
export const gemmaActivation = (c: { hidden_activation?: string | null }): string =>
  c.hidden_activation ?? tanhGelu;

/** The first files said "gelu" in hidden_act and meant the tanh form by it. */
const firstActivation = (c: z.output<typeof schema>): string =>
  c.hidden_activation ?? (c.hidden_act === 'gelu' ? tanhGelu : c.hidden_act);

export const describeGemma: Family = (config, task) => {
  const c = parseModelConfig(schema, config);
  const positions = c.max_position_embeddings;
  const rope = parseRope(config, { positions, headDim: headsOf(c).headDim });
  return {
    ...gemmaTrunk(c, config, task),
    contextTokens: contextOf(rope, positions),
    ropes: [rope],
    layers: layersOf(c, (path) => ({
      beforeAttention: shifted(`${path}.input_layernorm`, c),
      attention: separateAttention(path, c),
      rope: 0,
      beforeMlp: shifted(`${path}.post_attention_layernorm`, c),
      mlp: gatedMlp(`${path}.mlp`, c, { activation: firstActivation(c) }),
    })),
  };
};
