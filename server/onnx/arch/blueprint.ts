// What an architecture tells about a checkpoint before anything is loaded, and how its graph is made.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import type { Weights } from '../blocks/weights.ts';
import type { Graph } from '../graph.ts';

/** How a tensor is used: [N, K] of a linear layer, [V, h] of an embedding, [n] of a norm or bias. */
export type TensorRole = 'Matrix' | 'Table' | 'Vector';

/** A tensor that the checkpoint must have. A tied one stands twice, with both its roles. */
export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: TensorRole;
}

export interface Blueprint {
  readonly vocabularySize: number;
  /** Longest sequence that the checkpoint is made for. */
  readonly contextTokens: number;
  readonly tensors: readonly TensorSpec[];
  /** `maxTokens`: longest row that will be asked, at most contextTokens. */
  graph(weights: Weights, maxTokens: number): Graph;
}

/** One architecture: config.json → blueprint. Throws CONFIG_INVALID or UNSUPPORTED_ARCHITECTURE. */
export type Architect = (config: unknown) => Blueprint;

/** Inputs that every graph has besides those of its head. int32 [B, S], rows padded on the right with any token. */
export const tokensInput = { name: 'tokens', type: 'int32', shape: ['batch', 'length'] } as const;

/** `config` by `schema`; throws CONFIG_INVALID naming every field that is wrong. */
export function parseModelConfig<T extends z.ZodType>(schema: T, config: unknown): z.output<T> {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  const problems = result.error.issues.map((i) => `${i.path.join('.') || 'file'}: ${i.message}`);
  throw new AppError('CONFIG_INVALID', `reading config.json: ${problems.join('; ')}`);
}

export function unsupported(what: string, supported: readonly string[]): AppError {
  return new AppError(
    'UNSUPPORTED_ARCHITECTURE',
    `reading config.json: ${what} is not supported, only ${supported.join(', ')}`,
  );
}
