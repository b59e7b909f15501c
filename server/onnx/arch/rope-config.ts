// Rotary settings of config.json in the spellings that checkpoints use: `rope_theta` with `rope_scaling`, and the
// newer `rope_parameters` that holds both.
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { type Rope, yarnAttentionFactor } from '../blocks/rope.ts';
import { parseModelConfig, unsupported } from './blueprint.ts';

const factor = z.number().positive();

const settings = z.object({
  rope_theta: factor.optional(),
  rope_type: z.string().optional(),
  type: z.string().optional(),
  partial_rotary_factor: z.number().optional(),
  factor: factor.optional(),
  original_max_position_embeddings: factor.optional(),
  low_freq_factor: factor.optional(),
  high_freq_factor: factor.optional(),
  attention_factor: factor.nullish(),
  beta_fast: factor.nullish(),
  beta_slow: factor.nullish(),
  mscale: factor.nullish(),
  mscale_all_dim: factor.nullish(),
  truncate: z.boolean().default(true),
});
type Settings = z.output<typeof settings>;

const schema = z.object({
  rope_theta: factor.default(10_000),
  partial_rotary_factor: z.number().optional(),
  rope_scaling: settings.nullish(),
  rope_parameters: settings.nullish(),
});

/** Throws UNSUPPORTED_ARCHITECTURE for other scalings, CONFIG_INVALID for missing factors. */
export function parseRope(config: unknown, positions: number): Rope {
  const { rope_parameters: newer, rope_scaling: older, ...top } = parseModelConfig(schema, config);
  const given = { ...settings.parse({}), ...top, ...older, ...newer };
  const { rope_theta: theta, partial_rotary_factor: part = 1 } = given;
  if (part !== 1) throw unsupported(`partial_rotary_factor ${part}`, ['1']);
  const type = given.rope_type ?? given.type ?? 'default';
  const scale = Object.hasOwn(scalings, type) ? scalings[type] : undefined;
  if (!scale) throw unsupported(`rope scaling "${type}"`, Object.keys(scalings));
  return { theta, ...scale(given, positions) };
}

type Scaling = Rope extends infer R ? (R extends Rope ? Omit<R, 'theta'> : never) : never;

const scalings: Readonly<Record<string, (given: Settings, positions: number) => Scaling>> = {
  default: () => ({ type: 'default' }),
  linear: (given) => ({ type: 'linear', factor: needed(given, 'factor') }),
  llama3: (given) => ({
    type: 'llama3',
    factor: needed(given, 'factor'),
    lowFrequencyFactor: needed(given, 'low_freq_factor'),
    highFrequencyFactor: needed(given, 'high_freq_factor'),
    originalPositions: needed(given, 'original_max_position_embeddings'),
  }),
  yarn: (given, positions) => {
    const originalPositions = given.original_max_position_embeddings ?? positions;
    const scale = given.factor ?? positions / originalPositions;
    return {
      type: 'yarn',
      factor: scale,
      originalPositions,
      betaFast: given.beta_fast ?? 32,
      betaSlow: given.beta_slow ?? 1,
      attentionFactor: given.attention_factor ?? defaultAttentionFactor(given, scale),
      isTruncated: given.truncate,
    };
  },
};

function defaultAttentionFactor({ mscale, mscale_all_dim: all }: Settings, factor: number): number {
  if (!mscale || !all) return yarnAttentionFactor(factor);
  return yarnAttentionFactor(factor, mscale) / yarnAttentionFactor(factor, all);
}

type Factor =
  | 'factor'
  | 'low_freq_factor'
  | 'high_freq_factor'
  | 'original_max_position_embeddings';

function needed(given: Settings, name: Factor): number {
  const value = given[name];
  if (value === undefined) {
    throw new AppError('CONFIG_INVALID', `reading config.json: the rope scaling needs "${name}"`);
  }
  return value;
}
