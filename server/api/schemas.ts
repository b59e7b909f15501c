// Bodies of requests against their schemas.
import { z } from 'zod';
import { AppError } from '../../common/errors.ts';

/** What logits may be divided by: divided by much less they are numbers no longer. */
export const leastTemperature = 1e-4;
export const temperature = z.number().min(leastTemperature);

/** Throws INVALID_REQUEST naming every field that is wrong. */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`,
  );
  throw new AppError('INVALID_REQUEST', `reading the body: ${problems.join('; ')}`);
}
