// The architectures we can build. Adding one is a file beside this one and a line here: see docs/architectures.md.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { type Blueprint, blueprintOf } from './blueprint.ts';
import type { Family, Task } from './common.ts';
import { parseModelConfig, refuseOtherAttention, unsupported } from './config.ts';
import { describeGemma } from './gemma.ts';
import { describeGemma2 } from './gemma2.ts';
import { describeGemma3, describeGemma3WithImages } from './gemma3.ts';
import { describeGptNeoX } from './gpt-neox.ts';
import { describeGpt2 } from './gpt2.ts';
import { describeGranite } from './granite.ts';
import { describeLlama } from './llama.ts';
import { describeMistral } from './mistral.ts';
import { describeMixtral } from './mixtral.ts';
import { describeOlmo2 } from './olmo2.ts';
import { describePhi3 } from './phi3.ts';
import { describeQwen2 } from './qwen2.ts';
import { describeQwen3 } from './qwen3.ts';
import { describeQwen3Moe } from './qwen3-moe.ts';
import { describeSmolLm3 } from './smollm3.ts';

/** By the names that stand in `architectures` of config.json. */
export const architectures: Readonly<Record<string, readonly [Family, Task]>> = {
  Gemma2ForCausalLM: [describeGemma2, 'LogProbs'],
  Gemma2ForSequenceClassification: [describeGemma2, 'Reward'],
  Gemma3ForCausalLM: [describeGemma3, 'LogProbs'],
  Gemma3ForConditionalGeneration: [describeGemma3WithImages, 'LogProbs'],
  Gemma3ForSequenceClassification: [describeGemma3WithImages, 'Reward'],
  Gemma3TextForSequenceClassification: [describeGemma3, 'Reward'],
  GemmaForCausalLM: [describeGemma, 'LogProbs'],
  GemmaForSequenceClassification: [describeGemma, 'Reward'],
  GPT2ForSequenceClassification: [describeGpt2, 'Reward'],
  GPT2LMHeadModel: [describeGpt2, 'LogProbs'],
  GPTNeoXForCausalLM: [describeGptNeoX, 'LogProbs'],
  GPTNeoXForSequenceClassification: [describeGptNeoX, 'Reward'],
  GraniteForCausalLM: [describeGranite, 'LogProbs'],
  LlamaForCausalLM: [describeLlama, 'LogProbs'],
  LlamaForSequenceClassification: [describeLlama, 'Reward'],
  MistralForCausalLM: [describeMistral, 'LogProbs'],
  MistralForSequenceClassification: [describeMistral, 'Reward'],
  MixtralForCausalLM: [describeMixtral, 'LogProbs'],
  MixtralForSequenceClassification: [describeMixtral, 'Reward'],
  Olmo2ForCausalLM: [describeOlmo2, 'LogProbs'],
  Olmo2ForSequenceClassification: [describeOlmo2, 'Reward'],
  Phi3ForCausalLM: [describePhi3, 'LogProbs'],
  Phi3ForSequenceClassification: [describePhi3, 'Reward'],
  Qwen2ForCausalLM: [describeQwen2, 'LogProbs'],
  Qwen2ForSequenceClassification: [describeQwen2, 'Reward'],
  Qwen3ForCausalLM: [describeQwen3, 'LogProbs'],
  Qwen3ForSequenceClassification: [describeQwen3, 'Reward'],
  Qwen3MoeForCausalLM: [describeQwen3Moe, 'LogProbs'],
  Qwen3MoeForSequenceClassification: [describeQwen3Moe, 'Reward'],
  SmolLM3ForCausalLM: [describeSmolLm3, 'LogProbs'],
  SmolLM3ForSequenceClassification: [describeSmolLm3, 'Reward'],
};

const anyConfig = z.object({
  architectures: z.array(z.string()).min(1),
  quantization_config: z.unknown().optional(),
});

/**
 * Throws UNSUPPORTED_ARCHITECTURE listing the supported ones, CONFIG_INVALID for wrong fields,
 * UNSUPPORTED_QUANTIZATION when the checkpoint itself is quantized.
 */
export function describeModel(config: unknown): Blueprint & { architecture: string } {
  const parsed = parseModelConfig(anyConfig, config);
  const architecture = parsed.architectures.find((name) => Object.hasOwn(architectures, name));
  const found = architecture && architectures[architecture];
  if (!found) {
    const names = parsed.architectures.join(', ');
    throw unsupported(`architecture "${names}"`, Object.keys(architectures));
  }
  if (parsed.quantization_config) {
    const problem = 'the checkpoint is quantized already, only F32, F16 and BF16 weights are read';
    throw new AppError('UNSUPPORTED_QUANTIZATION', `reading config.json: ${problem}`);
  }
  refuseOtherAttention(config);
  const [family, task] = found;
  return { architecture, ...blueprintOf(family(config, task)) };
}
