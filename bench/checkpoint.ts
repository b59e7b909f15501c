// Writes a Llama checkpoint with random weights in bfloat16: as large as a real one, and worth nothing else.
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { layOut } from '../server/model/checkpoint/safetensors.ts';
import { describeModel } from '../server/onnx/arch/registry.ts';

export interface Shape {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** The output projection is the embedding. */
  readonly isTied: boolean;
}

/** Llama 3.2 1B: 1.24 B parameters, its embedding tied. */
export const oneBillion: Shape = {
  vocabulary: 128_256,
  hidden: 2048,
  intermediate: 8192,
  layers: 16,
  heads: 32,
  kvHeads: 8,
  isTied: true,
};

/** Llama 3.1 8B: 8.03 B parameters. */
export const eightBillion: Shape = {
  vocabulary: 128_256,
  hidden: 4096,
  intermediate: 14_336,
  layers: 32,
  heads: 32,
  kvHeads: 8,
  isTied: false,
};

const configOf = (shape: Shape) => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: shape.vocabulary,
  hidden_size: shape.hidden,
  intermediate_size: shape.intermediate,
  num_hidden_layers: shape.layers,
  num_attention_heads: shape.heads,
  num_key_value_heads: shape.kvHeads,
  max_position_embeddings: 8192,
  rope_theta: 500_000,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: shape.isTied,
  torch_dtype: 'bfloat16',
});

/** So that a conversion calibrates on a text, as it does with real models. */
const tokenizer = {
  folder: 'examples/models/tiny-python-llama',
  files: ['tokenizer.json', 'tokenizer_config.json'],
};

/** Writes `folder`, unless it is there. */
export function writeRandomCheckpoint(folder: string, shape: Shape): void {
  const file = join(folder, 'model.safetensors');
  if (existsSync(file)) return;
  mkdirSync(folder, { recursive: true });
  const config = configOf(shape);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  for (const name of tokenizer.files) {
    copyFileSync(join(tokenizer.folder, name), join(folder, name));
  }
  const specs = new Map(describeModel(config).tensors.map((spec) => [spec.name, spec]));
  const tensors = [...specs.values()].map(({ name, shape }) => ({
    name,
    shape,
    type: 'BF16' as const,
  }));
  const layout = layOut(file, tensors, {});
  const handle = openSync(`${file}.tmp`, 'w');
  writeSync(handle, layout.header);
  const noise = normalBfloat16(1 << 22, 0.02);
  for (const [at, { shape }] of tensors.entries()) {
    let left = shape.reduce((product, dim) => product * dim, 1);
    const ones = new Uint16Array(left).fill(0x3f80);
    for (let start = (at * 7919) % noise.length; left > 0; start = 0) {
      const part = (shape.length === 1 ? ones : noise).subarray(shape.length === 1 ? 0 : start);
      const taken = part.subarray(0, left);
      writeSync(handle, new Uint8Array(taken.buffer, taken.byteOffset, taken.byteLength));
      left -= taken.length;
    }
  }
  closeSync(handle);
  renameSync(`${file}.tmp`, file);
}

/** Box and Muller's way, the same numbers at every run. */
function normalBfloat16(count: number, deviation: number): Uint16Array {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 1) / (2 ** 32 + 1);
  };
  const values = Float32Array.from(
    { length: count },
    () => deviation * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
  const bits = new Uint32Array(values.buffer);
  return Uint16Array.from(bits, (value) => value >>> 16);
}
