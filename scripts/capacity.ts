// The memory that models take, for docs/capacity.md, from the same code that admits them.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { quantityValue } from '../crds/common.ts';
import { quantizations } from '../crds/reference-model.ts';
import { formatsOf, type Quantization } from '../server/model/convert/plan.ts';
import { weightBytes } from '../server/model/cuda/footprint.ts';
import { estimateBytes } from '../server/model/estimate.ts';
import { describeModel } from '../server/onnx/arch/registry.ts';
import { cpuTarget, type Target } from '../server/onnx/target.ts';
import { chartValues } from './chart-values.ts';

const llama3 = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 128_256,
  max_position_embeddings: 131_072,
  rope_theta: 500_000,
  rms_norm_eps: 1e-5,
  num_key_value_heads: 8,
  tie_word_embeddings: false,
};

/** config.json of Llama 3.2 1B, 3.1 8B and 3.1 70B, as far as memory goes. */
export const shapes = {
  '1 B': {
    ...llama3,
    hidden_size: 2048,
    intermediate_size: 8192,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    tie_word_embeddings: true,
  },
  '8 B': {
    ...llama3,
    hidden_size: 4096,
    intermediate_size: 14_336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
  },
  '70 B': {
    ...llama3,
    hidden_size: 8192,
    intermediate_size: 28_672,
    num_hidden_layers: 80,
    num_attention_heads: 64,
  },
} as const;

const gpu: Target = { provider: 'CUDA', type: 'bfloat16' };
/** The defaults of spec.limits. */
const limits = { maxBatchTokens: 16_384, maxSequenceTokens: 8192 };
const bfloat16 = { sources: new Map(), numberBytes: 2 };

/** What a server asks for before it loads such a model from a checkpoint of 16 bits. */
export function askedBytes(config: object, quantization: Quantization, target: Target) {
  return estimateBytes(describeModel(config), bfloat16, { quantization, target, ...limits });
}

/** The class of the chart with the least memory that still takes `bytes` of a GPU. */
function smallestClass(bytes: number): string {
  const { gpuClasses } = chartValues.parse(
    parse(readFileSync('charts/refmodel/values.yaml', 'utf8')),
  );
  const [smallest] = Object.entries(gpuClasses)
    .map(([name, { spec }]) => ({ name, provider: spec.executionProvider, memory: spec.memory }))
    .filter(({ provider }) => provider === 'CUDA')
    .filter(({ memory }) => quantityValue(memory) >= bytes)
    .sort((a, b) => quantityValue(a.memory) - quantityValue(b.memory));
  return smallest ? `\`${smallest.name}\`` : 'none';
}

const gibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);

function row(name: string, config: object, quantization: Quantization): string {
  const { device } = askedBytes(config, quantization, gpu);
  const { host } = askedBytes(config, quantization, cpuTarget);
  const weights = weightBytes(formatsOf(describeModel(config), quantization), gpu.type);
  const sizes = [host, weights, device - weights, device].map(gibibytes);
  return `| ${[name, `\`${quantization}\``, ...sizes, smallestClass(device)].join(' | ')} |`;
}

/** A row for each shape and format. */
export function capacityTable(): string {
  const rows = Object.entries(shapes).flatMap(([name, config]) =>
    quantizations.map((quantization) => row(name, config, quantization)),
  );
  return [
    '| | format | CPU: weights | GPU: weights | GPU: process and one pass | GPU: all | smallest class of the chart |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
