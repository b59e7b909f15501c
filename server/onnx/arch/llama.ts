// Llama: rotary grouped-query attention and a gated MLP, each after a root mean square norm.
// Source: Hugging Face transformers, models/llama/modeling_llama.py; the tensor names are those of its checkpoints.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { type Attention, attention, attentionInputs } from '../blocks/attention.ts';
import { scoredHead } from '../blocks/head.ts';
import { gatedMlp } from '../blocks/mlp.ts';
import { addRmsNorm, rmsNorm } from '../blocks/norm.ts';
import type { Rope } from '../blocks/rope.ts';
import {
  embedding,
  float32Constant,
  type Linear,
  linear,
  type Weights,
} from '../blocks/weights.ts';
import { type Graph, int64Tensor } from '../graph.ts';
import { Tape, type Value } from '../tape.ts';
import {
  type Blueprint,
  parseModelConfig,
  type TensorRole,
  type TensorSpec,
  tokensInput,
  unsupported,
} from './blueprint.ts';
import { parseRope } from './rope-config.ts';

const size = z
  .int()
  .min(1)
  .max(1 << 24);

const schema = z.object({
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

/** The config with its defaults resolved; what the graph is made from. */
interface Llama {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly epsilon: number;
  readonly positions: number;
  readonly rope: Rope;
  readonly hasAttentionBias: boolean;
  readonly hasMlpBias: boolean;
  /** The tensor of the output projection: the embedding itself when tied. */
  readonly head: string;
}

export function describeLlama(config: unknown): Blueprint {
  const llama = parseLlama(config);
  return {
    vocabularySize: llama.vocabulary,
    contextTokens: llama.positions,
    tensors: tensors(llama),
    graph: (weights, maxTokens) => new LlamaGraph(llama, weights, maxTokens).build(),
  };
}

function parseLlama(config: unknown): Llama {
  const c = parseModelConfig(schema, config);
  const heads = c.num_attention_heads;
  const kvHeads = c.num_key_value_heads ?? heads;
  const headDim = c.head_dim ?? c.hidden_size / heads;
  if (c.hidden_act !== 'silu') throw unsupported(`hidden_act "${c.hidden_act}"`, ['silu']);
  if (!Number.isInteger(headDim) || heads % kvHeads !== 0) {
    throw new AppError(
      'CONFIG_INVALID',
      'reading config.json: the head counts do not divide the sizes',
    );
  }
  if (headDim % 8 !== 0) throw unsupported(`head size ${headDim}`, ['multiples of 8']);
  return {
    vocabulary: c.vocab_size,
    hidden: c.hidden_size,
    intermediate: c.intermediate_size,
    layers: c.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    epsilon: c.rms_norm_eps,
    positions: c.max_position_embeddings,
    rope: parseRope(config, c.max_position_embeddings),
    hasAttentionBias: c.attention_bias,
    hasMlpBias: c.mlp_bias,
    head: c.tie_word_embeddings ? embeddingName : 'lm_head.weight',
  };
}

const embeddingName = 'model.embed_tokens.weight';
const layerName = (layer: number, rest: string) => `model.layers.${layer}.${rest}`;

function tensors(llama: Llama): TensorSpec[] {
  const { vocabulary, hidden, layers } = llama;
  return [
    { name: embeddingName, shape: [vocabulary, hidden], role: 'Table' },
    ...Array.from({ length: layers }, (_, layer) => layerTensors(llama, layer)).flat(),
    { name: 'model.norm.weight', shape: [hidden], role: 'Vector' },
    { name: llama.head, shape: [vocabulary, hidden], role: 'Matrix' },
  ];
}

function layerTensors(llama: Llama, layer: number): TensorSpec[] {
  const { hidden, intermediate, heads, kvHeads, headDim, hasAttentionBias, hasMlpBias } = llama;
  const spec = (rest: string, role: TensorRole, ...shape: number[]): TensorSpec => ({
    name: layerName(layer, rest),
    shape,
    role,
  });
  const projection = (path: string, rows: number, columns: number, hasBias: boolean) => [
    spec(`${path}.weight`, 'Matrix', rows, columns),
    ...(hasBias ? [spec(`${path}.bias`, 'Vector', rows)] : []),
  ];
  return [
    spec('input_layernorm.weight', 'Vector', hidden),
    ...projection('self_attn.q_proj', heads * headDim, hidden, hasAttentionBias),
    ...projection('self_attn.k_proj', kvHeads * headDim, hidden, hasAttentionBias),
    ...projection('self_attn.v_proj', kvHeads * headDim, hidden, hasAttentionBias),
    ...projection('self_attn.o_proj', hidden, heads * headDim, hasAttentionBias),
    spec('post_attention_layernorm.weight', 'Vector', hidden),
    ...projection('mlp.gate_proj', intermediate, hidden, hasMlpBias),
    ...projection('mlp.up_proj', intermediate, hidden, hasMlpBias),
    ...projection('mlp.down_proj', hidden, intermediate, hasMlpBias),
  ];
}

/** One graph being made. Hidden rows are [n, h] with n = batch·length throughout. */
class LlamaGraph {
  readonly #llama: Llama;
  readonly #weights: Weights;
  readonly #maxTokens: number;

  constructor(llama: Llama, weights: Weights, maxTokens: number) {
    this.#llama = llama;
    this.#weights = weights;
    this.#maxTokens = Math.min(maxTokens, llama.positions);
  }

  /**
   *   tokens ─ embedding ─ norm ─ attention ─ +norm ─ mlp ─ +norm ─ … ─ +norm ─ head
   *                  └──────────────────────── + ─────────── + ──── … ── +
   */
  build(): Graph {
    const { heads, kvHeads, headDim, rope, layers, head } = this.#llama;
    const tape = Tape.start('/model');
    const tokens = tape.input(tokensInput);
    const flat = tape.op('Reshape', [tokens, tape.constant('flat', int64Tensor([-1], [1]))]);
    const sizes = { heads, kvHeads, headDim, rope, positions: this.#maxTokens };
    const shared = attentionInputs(tape.at('attention_inputs'), tokens, sizes);
    let sum = embedding(
      tape.at('embed_tokens'),
      flat,
      embeddingName,
      this.#weights.table(embeddingName),
    );
    let normed = rmsNorm(
      tape.at('layers.0'),
      sum,
      this.#norm(tape, layerName(0, 'input_layernorm')),
    );
    for (let layer = 0; layer < layers; layer++) {
      const isLast = layer === layers - 1;
      const next = isLast ? 'model.norm' : layerName(layer + 1, 'input_layernorm');
      const inner = tape.at(`layers.${layer}`);
      const mixed = this.#attention(inner.at('attn'), normed, shared, layer);
      const after = layerName(layer, 'post_attention_layernorm');
      ({ normed, sum } = addRmsNorm(inner.at('attn'), sum, mixed, this.#norm(tape, after)));
      const delta = this.#mlp(inner.at('mlp'), normed, layer);
      ({ normed, sum } = addRmsNorm(inner.at('mlp'), sum, delta, this.#norm(tape, next)));
    }
    scoredHead(tape, normed, { name: head, weight: this.#weights.matrix(head) });
    return tape.finish();
  }

  /**
   *   x ─┬─ q_proj ─┐
   *      ├─ k_proj ─┼─ attention ─ o_proj
   *      └─ v_proj ─┘
   */
  #attention(tape: Tape, x: Value, shared: Attention, layer: number): Value {
    const project = (part: string, input: Value) => {
      const folder = tape.at(`${part}_proj`);
      const name = layerName(layer, `self_attn.${part}_proj`);
      return linear(folder, input, this.#linear(folder, name, this.#llama.hasAttentionBias));
    };
    const qkv = { q: project('q', x), k: project('k', x), v: project('v', x) };
    return project('o', attention(tape, qkv, shared));
  }

  #mlp(tape: Tape, x: Value, layer: number): Value {
    const part = (name: string) =>
      this.#linear(tape, layerName(layer, `mlp.${name}_proj`), this.#llama.hasMlpBias);
    return gatedMlp(tape, x, { gate: part('gate'), up: part('up'), down: part('down') });
  }

  #linear(tape: Tape, path: string, hasBias: boolean): Linear {
    const name = `${path}.weight`;
    const bias = hasBias ? this.#vector(tape.at('bias'), `${path}.bias`) : undefined;
    return { name, weight: this.#weights.matrix(name), bias };
  }

  #norm(tape: Tape, path: string): { weight: Value; epsilon: number } {
    return { weight: this.#vector(tape.at(path), `${path}.weight`), epsilon: this.#llama.epsilon };
  }

  #vector(tape: Tape, name: string): Value {
    return float32Constant(tape, name, this.#weights.vector(name));
  }
}
