// Bodies of requests against their schemas.
import type { z } from 'zod';
import { AppError } from '../../common/errors.ts';

/** Throws INVALID_REQUEST naming every field that is wrong. */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`,
  );
  throw new AppError('INVALID_REQUEST', `reading the body: ${problems.join('; ')}`);
}
