// What tests of architectures share: a small config.json, and short views of a decoder.
import { blueprintOf } from '../../server/onnx/arch/blueprint.ts';
import type { Decoder } from '../../server/onnx/arch/decoder.ts';

/** One layer. Families add what they have besides. */
export const tinyConfig = {
  vocab_size: 40,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
};

/** Every tensor that the checkpoint must have, and its shape. */
export const shapesOf = (decoder: Decoder): Record<string, readonly number[]> =>
  Object.fromEntries(blueprintOf(decoder).tensors.map(({ name, shape }) => [name, shape]));

export const namesOf = (decoder: Decoder, ending = ''): string[] =>
  Object.keys(shapesOf(decoder)).filter((name) => name.endsWith(ending));

export const windowsOf = ({ layers }: Decoder): (number | undefined)[] =>
  layers.map(({ attention }) => attention.window);

/** Layers `of` the names of a checkpoint, their path left out. */
export const ofFirstLayer = (
  path: string,
  shapes: Record<string, readonly number[]>,
): Record<string, readonly number[]> =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [`${path}.${name}`, shape]));

/** Tensors of a layer of Llama with `tinyConfig`. */
export const llamaAttention = {
  'self_attn.q_proj.weight': [32, 32],
  'self_attn.k_proj.weight': [16, 32],
  'self_attn.v_proj.weight': [16, 32],
  'self_attn.o_proj.weight': [32, 32],
};
export const llamaMlp = {
  'mlp.gate_proj.weight': [48, 32],
  'mlp.up_proj.weight': [48, 32],
  'mlp.down_proj.weight': [32, 48],
};
export const llamaNorms = {
  'input_layernorm.weight': [32],
  'post_attention_layernorm.weight': [32],
};
export const llamaTrunk = {
  'model.embed_tokens.weight': [40, 32],
  'model.norm.weight': [32],
};
export const llamaHead = { 'lm_head.weight': [40, 32] };
