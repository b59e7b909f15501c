// What most families share: the fields of config.json, the names of Hugging Face's checkpoints, and the parts of a
// decoder that go by them.
import { z } from 'zod';
import type { Attention, Heads } from '../blocks/attention.ts';
import type { Experts } from '../blocks/experts.ts';
import { type Activation, activationNamed, activationNames, type Mlp } from '../blocks/mlp.ts';
import type { Norm } from '../blocks/norm.ts';
import type { Linear } from '../blocks/weights.ts';
import { invalidConfig, parseModelConfig, unsupported } from './config.ts';
import type { Decoder, Head, Layer } from './decoder.ts';

export const size = z
  .int()
  .min(1)
  .max(1 << 24);

/** Extend it by what a family has besides; give its own defaults where they differ. */
export const common = z.object({
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size.max(4096),
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  hidden_act: z.string().default('silu'),
  rms_norm_eps: z.number().positive().default(1e-6),
  max_position_embeddings: size.default(2048),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(false),
});
export type Common = z.output<typeof common>;

export type Task = Head['task'];

/** One family: config.json → its decoder. Throws CONFIG_INVALID or UNSUPPORTED_ARCHITECTURE. */
export type Family = (config: unknown, task: Task) => Decoder;

type HeadFields = Pick<
  Common,
  'hidden_size' | 'num_attention_heads' | 'num_key_value_heads' | 'head_dim'
>;

export function headsOf(c: HeadFields): Heads {
  const heads = c.num_attention_heads;
  const kvHeads = c.num_key_value_heads ?? heads;
  const headDim = c.head_dim ?? c.hidden_size / heads;
  if (!Number.isInteger(headDim) || heads % kvHeads !== 0) {
    throw invalidConfig('the head counts do not divide the sizes');
  }
  return { heads, kvHeads, headDim };
}

export const rms = (name: string, c: Common, length = c.hidden_size): Norm => ({
  name,
  kind: 'RMS',
  length,
  epsilon: c.rms_norm_eps,
});

export function activationOf(name: string): Activation {
  const activation = activationNamed(name);
  if (!activation) throw unsupported(`activation "${name}"`, activationNames);
  return activation;
}

/** `layer` for each, told the path of its tensors. */
export const layersOf = (c: Common, layer: (path: string, index: number) => Layer): Layer[] =>
  Array.from({ length: c.num_hidden_layers }, (_, index) => layer(`model.layers.${index}`, index));

/** `<path>.self_attn.{q,k,v,o}_proj` */
export function separateAttention(
  path: string,
  c: Common,
  bias: { qkv: boolean; output: boolean } = { qkv: c.attention_bias, output: c.attention_bias },
): Attention {
  const heads = headsOf(c);
  const columns = c.hidden_size;
  const width = heads.heads * heads.headDim;
  const side = (name: string, count: number): Linear => {
    const rows = count * heads.headDim;
    return { name: `${path}.self_attn.${name}`, rows, columns, hasBias: bias.qkv };
  };
  const output = `${path}.self_attn.o_proj`;
  return {
    ...heads,
    qkv: {
      kind: 'Separate',
      q: side('q_proj', heads.heads),
      k: side('k_proj', heads.kvHeads),
      // Few numbers where heads share it, and what it loses nothing behind it makes up for.
      v: { ...side('v_proj', heads.kvHeads), isSensitive: heads.kvHeads < heads.heads },
    },
    output: { name: output, rows: columns, columns: width, hasBias: bias.output },
  };
}

/** `<path>.{gate,up,down}_proj` */
export function gatedMlp(
  path: string,
  c: Common,
  { activation = c.hidden_act, intermediate = c.intermediate_size } = {},
): Mlp {
  const inward = { rows: intermediate, columns: c.hidden_size, hasBias: c.mlp_bias };
  const outward = { rows: c.hidden_size, columns: intermediate, hasBias: c.mlp_bias };
  return {
    kind: 'Gated',
    gate: { name: `${path}.gate_proj`, ...inward, isTolerant: true },
    up: { name: `${path}.up_proj`, ...inward },
    down: { name: `${path}.down_proj`, ...outward },
    activation: activationOf(activation),
  };
}

/** Throws CONFIG_INVALID when a token is to go to more experts than there are. */
export function mixtureOf(parts: Omit<Experts, 'kind'>): Experts {
  if (parts.perToken > parts.experts.length) {
    throw invalidConfig('num_experts_per_tok is more than there are experts');
  }
  return { kind: 'Experts', ...parts };
}

export const embeddingName = 'model.embed_tokens.weight';

/** Everything but the layers and what they refer to. */
export function trunk(
  c: Common,
  config: unknown,
  task: Task,
): Pick<Decoder, 'hidden' | 'vocabularySize' | 'embedding' | 'norm' | 'head'> {
  return {
    hidden: c.hidden_size,
    vocabularySize: c.vocab_size,
    embedding: { name: embeddingName },
    norm: rms('model.norm', c),
    head: headOf(config, task, {
      name: 'lm_head',
      rows: c.vocab_size,
      columns: c.hidden_size,
      tiedTo: c.tie_word_embeddings ? embeddingName : undefined,
    }),
  };
}

/** `projection` is that of a language model; a reward model has `score` in its place. */
export function headOf(config: unknown, task: Task, projection: Linear): Head {
  if (task === 'LogProbs') return { task, projection: { ...projection, isTolerant: true } };
  const { columns } = projection;
  return { task, score: { name: 'score', rows: labelCount(config), columns, isExact: true } };
}

const labels = z.object({
  num_labels: size.nullish(),
  id2label: z.record(z.string(), z.unknown()).nullish(),
});

/** As transformers counts them: two where config.json says nothing. */
function labelCount(config: unknown): number {
  const { num_labels: count, id2label } = parseModelConfig(labels, config);
  return count ?? (id2label ? Object.keys(id2label).length : 2);
}

/** Norms before attention and mlp: `<path>.input_layernorm` and `<path>.post_attention_layernorm`. */
export const preNorms = (
  path: string,
  c: Common,
): Pick<Layer, 'beforeAttention' | 'beforeMlp'> => ({
  beforeAttention: rms(`${path}.input_layernorm`, c),
  beforeMlp: rms(`${path}.post_attention_layernorm`, c),
});

/** Norms before and after both, as Gemma 2 and 3 have them. */
export const innerAndOuterNorms = (
  path: string,
  norm: (name: string) => Norm,
): Pick<Layer, 'beforeAttention' | 'afterAttention' | 'beforeMlp' | 'afterMlp'> => ({
  beforeAttention: norm(`${path}.input_layernorm`),
  afterAttention: norm(`${path}.post_attention_layernorm`),
  beforeMlp: norm(`${path}.pre_feedforward_layernorm`),
  afterMlp: norm(`${path}.post_feedforward_layernorm`),
});

/** Which layers attend to a window only, by the names of config.json. */
export const layerTypes = z.array(z.string()).nullish();

const knownLayerTypes = ['full_attention', 'sliding_attention'];

/** Whether layer `index` attends to a window only: as `types` says, `otherwise` where config.json has none. */
export function slides(
  types: z.output<typeof layerTypes>,
  index: number,
  otherwise: boolean,
): boolean {
  if (!types) return otherwise;
  const type = types[index];
  if (type === undefined) throw invalidConfig(`layer_types ends before layer ${index}`);
  if (!knownLayerTypes.includes(type)) throw unsupported(`layer type "${type}"`, knownLayerTypes);
  return type === 'sliding_attention';
}
