// Bodies of requests. Token ids are left to rows.ts: a schema per element would take longer than some passes.
import { z } from 'zod';
import { AppError } from '../../common/errors.ts';

const list = z.custom<readonly unknown[]>(Array.isArray, 'expected an array');
const model = z.string().nullish();

/** Strict: a setting that would change the values must not be dropped silently. */
export const rowsRequest = z.strictObject({
  model,
  /** [rows][n], of any lengths. */
  input_ids: list,
  /** Of the same shape: 1 at tokens, 0 at padding on either side. */
  attention_mask: list.nullish(),
});

/** vLLM's and OpenAI's. What only steers sampling is accepted and not applied, temperature among it. */
export const completionsRequest = z.object({
  model,
  prompt: list.or(z.string()),
  max_tokens: z.int().min(0).max(1, 'this server scores, it does not generate: 0 or 1').nullish(),
  n: z.literal(1, 'only 1 is supported').nullish(),
  stream: z.literal(false, 'streaming is not supported').nullish(),
  echo: z.boolean().nullish(),
  add_special_tokens: z.boolean().nullish(),
  logprobs: z.union([z.boolean(), z.int().min(0)]).nullish(),
  prompt_logprobs: z.int().min(0).nullish(),
});
export type CompletionsRequest = z.output<typeof completionsRequest>;

/** Throws INVALID_REQUEST naming every field that is wrong. */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`,
  );
  throw new AppError('INVALID_REQUEST', `reading the body: ${problems.join('; ')}`);
}
