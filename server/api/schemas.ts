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

/** Throws INVALID_REQUEST naming every field that is wrong. */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`,
  );
  throw new AppError('INVALID_REQUEST', `reading the body: ${problems.join('; ')}`);
}
