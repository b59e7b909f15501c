// Tiny Llama checkpoints with random weights, and what they must answer, computed plainly in float64.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { layOut } from '../../server/model/checkpoint/safetensors.ts';
import { describeModel } from '../../server/onnx/arch/registry.ts';
import { noise } from './run-graph.ts';

export const tinyLlamaConfig = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 40,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rope_theta: 10_000,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
};

export interface LlamaCheckpoint {
  readonly config: typeof tinyLlamaConfig & Record<string, unknown>;
  readonly weights: ReadonlyMap<string, { shape: readonly number[]; values: Float32Array }>;
}

export function tinyLlama(changes: Record<string, unknown> = {}): LlamaCheckpoint {
  const config = { ...tinyLlamaConfig, ...changes };
  const weights = describeModel(config).tensors.map(({ name, shape }, i) => {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const values = noise(count, i + 1).map((x) => (shape.length === 1 ? 1 + x / 4 : x / 2));
    return [name, { shape, values }] as const;
  });
  return { config, weights: new Map(weights) };
}

/** Writes config.json and model.safetensors (float32) into `folder`. */
export function writeCheckpoint(folder: string, { config, weights }: LlamaCheckpoint): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  const tensors = [...weights].map(([name, { shape }]) => ({ name, shape, type: 'F32' as const }));
  const { header } = layOut('', tensors, {});
  const data = [...weights.values()].map(({ values }) => new Uint8Array(values.buffer));
  writeFileSync(path.join(folder, 'model.safetensors'), Buffer.concat([header, ...data]));
}

type Rows = Float64Array[];

/** Natural-log probabilities [n][V] after each token. Default rope, SiLU, no bias. */
export function referenceLogprobs({ config, weights }: LlamaCheckpoint, tokens: number[]): Rows {
  const { hidden_size: hidden, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const dim = hidden / heads;
  const get = (name: string) => weights.get(name)?.values ?? new Float32Array();
  const project = (rows: Rows, name: string): Rows => {
    const w = get(`${name}.weight`);
    const columns = rows[0]?.length ?? 0;
    return rows.map((row) =>
      Float64Array.from({ length: w.length / columns }, (_, n) =>
        row.reduce((sum, x, k) => sum + x * w[n * columns + k]!, 0),
      ),
    );
  };
  const norm = (rows: Rows, name: string): Rows => {
    const w = get(`${name}.weight`);
    return rows.map((row) => {
      const mean = row.reduce((sum, x) => sum + x * x, 0) / row.length;
      return row.map((x, i) => (x / Math.sqrt(mean + config.rms_norm_eps)) * w[i]!);
    });
  };
  const rotate = (rows: Rows): Rows =>
    rows.map((row, position) =>
      row.map((x, i) => {
        const at = i % dim;
        const pair = at % (dim / 2);
        const angle = position * config.rope_theta ** ((-2 * pair) / dim);
        const other = at < dim / 2 ? -row[i + dim / 2]! : row[i - dim / 2]!;
        return x * Math.cos(angle) + other * Math.sin(angle);
      }),
    );
  const attend = (q: Rows, k: Rows, v: Rows): Rows =>
    q.map((row, position) =>
      row.map((_, i) => {
        const head = Math.floor(i / dim);
        const base = Math.floor((head * kvHeads) / heads) * dim;
        const scores = k.slice(0, position + 1).map((key) => {
          let dot = 0;
          for (let d = 0; d < dim; d++) dot += row[head * dim + d]! * key[base + d]!;
          return dot / Math.sqrt(dim);
        });
        const exp = scores.map(Math.exp);
        const sum = exp.reduce((a, b) => a + b, 0);
        return exp.reduce((a, e, j) => a + (e / sum) * v[j]![base + (i % dim)]!, 0);
      }),
    );
  const add = (a: Rows, b: Rows): Rows => a.map((row, r) => row.map((x, i) => x + b[r]![i]!));
  const embedding = get('model.embed_tokens.weight');
  let x: Rows = tokens.map((token) =>
    Float64Array.from(embedding.subarray(token * hidden, (token + 1) * hidden)),
  );
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = (rest: string) => `model.layers.${layer}.${rest}`;
    const before = norm(x, at('input_layernorm'));
    const q = rotate(project(before, at('self_attn.q_proj')));
    const k = rotate(project(before, at('self_attn.k_proj')));
    const v = project(before, at('self_attn.v_proj'));
    x = add(x, project(attend(q, k, v), at('self_attn.o_proj')));
    const after = norm(x, at('post_attention_layernorm'));
    const up = project(after, at('mlp.up_proj'));
    const gated = project(after, at('mlp.gate_proj')).map((row, r) =>
      row.map((g, i) => (g / (1 + Math.exp(-g))) * up[r]![i]!),
    );
    x = add(x, project(gated, at('mlp.down_proj')));
  }
  return project(norm(x, 'model.norm'), 'lm_head').map((row) => {
    const max = Math.max(...row);
    const total = max + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
    return row.map((logit) => logit - total);
  });
}
