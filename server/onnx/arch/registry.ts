// The architectures we can build. Adding one is a file beside this one and a line here.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { type Architect, type Blueprint, parseModelConfig, unsupported } from './blueprint.ts';
import { describeLlama } from './llama.ts';

/** By the names that stand in `architectures` of config.json. */
const architects: Readonly<Record<string, Architect>> = {
  LlamaForCausalLM: describeLlama,
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
  const { architectures } = parsed;
  const architecture = architectures.find((name) => Object.hasOwn(architects, name));
  const describe = architecture && architects[architecture];
  if (!describe) {
    throw unsupported(`architecture "${architectures.join(', ')}"`, Object.keys(architects));
  }
  if (parsed.quantization_config) {
    const problem = 'the checkpoint is quantized already, only F32, F16 and BF16 weights are read';
    throw new AppError('UNSUPPORTED_QUANTIZATION', `reading config.json: ${problem}`);
  }
  return { architecture, ...describe(config) };
}
