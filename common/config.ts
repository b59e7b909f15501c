// One zod object per process, keyed by environment variable. Parsed once, strictly, all problems at once.
import { z } from 'zod';
import { AppError } from './errors.ts';

/** Every process's own settings start with this; an unknown one is a mistake worth stopping for. */
const prefix = 'REFMODEL_';

export const milliseconds = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
export const port = (fallback: number) =>
  z.coerce.number().int().min(0).max(65535).default(fallback);
export const bytes = z.coerce.number().int().positive();
/** Words separated by commas; empty ones are dropped. */
export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean),
);
export const flag = z.enum(['true', 'false']).transform((value) => value === 'true');

/**
 * Reads the variables that `schema` names from `env`.
 * Throws CONFIGURATION_INVALID naming every variable that is wrong or unknown.
 */
export function parseConfig<T extends z.ZodObject>(
  schema: T,
  env: NodeJS.ProcessEnv,
): Readonly<z.infer<T>> {
  const names = Object.keys(schema.shape);
  const given = Object.fromEntries(names.map((name) => [name, env[name] || undefined]));
  const result = schema.safeParse(given);
  const problems = (result.error?.issues ?? []).map((i) => `${i.path.join('.')}: ${i.message}`);
  for (const name of Object.keys(env)) {
    if (name.startsWith(prefix) && !names.includes(name)) problems.push(`${name}: unknown setting`);
  }
  if (!result.success || problems.length > 0) {
    throw new AppError(
      'CONFIGURATION_INVALID',
      `reading the configuration: ${problems.join('; ')}`,
    );
  }
  return Object.freeze(result.data);
}
