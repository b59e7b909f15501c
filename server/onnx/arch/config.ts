// Reading config.json: errors that name the file and the fields.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';

/** `config` by `schema`; throws CONFIG_INVALID naming every field that is wrong. */
export function parseModelConfig<T extends z.ZodType>(schema: T, config: unknown): z.output<T> {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  const problems = result.error.issues.map((i) => `${i.path.join('.') || 'file'}: ${i.message}`);
  throw invalidConfig(problems.join('; '));
}

export const invalidConfig = (problem: string): AppError =>
  new AppError('CONFIG_INVALID', `reading config.json: ${problem}`);

export function unsupported(what: string, supported: readonly string[]): AppError {
  return new AppError(
    'UNSUPPORTED_ARCHITECTURE',
    `reading config.json: ${what} is not supported, only ${supported.join(', ')}`,
  );
}

const attentionFields = z.object({
  use_bidirectional_attention: z.unknown().optional(),
  is_causal: z.unknown().optional(),
  attention_chunk_size: z.unknown().optional(),
  add_cross_attention: z.unknown().optional(),
});

/** What a family would have to read if it had it. Throws UNSUPPORTED_ARCHITECTURE. */
export function refuseOtherAttention(config: unknown): void {
  const c = parseModelConfig(attentionFields, config);
  const others = {
    'attention to later tokens': c.use_bidirectional_attention || c.is_causal === false,
    'attention in chunks': c.attention_chunk_size,
    'attention to another sequence': c.add_cross_attention,
  };
  for (const [name, isWanted] of Object.entries(others)) {
    if (isWanted) throw unsupported(name, ['attention to earlier tokens']);
  }
}
