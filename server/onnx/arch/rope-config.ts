// Rotary settings of config.json in the spellings that checkpoints use: `rope_theta` with `rope_scaling`, and the
// newer `rope_parameters` that holds both.
import { z } from 'zod';
import {
  longropeAttentionFactor,
  type Rope,
  type Scaling,
  yarnAttentionFactor,
} from '../blocks/rope.ts';
import { invalidConfig, parseModelConfig, unsupported } from './config.ts';

/** null counts as absent. */
const maybe = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined);

const positive = z.number().positive();
const factor = maybe(positive);
const factors = maybe(z.array(positive));

const settings = z.object({
  rope_theta: factor,
  rope_type: maybe(z.string()),
  type: maybe(z.string()),
  partial_rotary_factor: maybe(positive.max(1)),
  factor,
  original_max_position_embeddings: factor,
  low_freq_factor: factor,
  high_freq_factor: factor,
  short_factor: factors,
  long_factor: factors,
  attention_factor: factor,
  beta_fast: factor,
  beta_slow: factor,
  mscale: factor,
  mscale_all_dim: factor,
  truncate: maybe(z.boolean()),
});
type Settings = z.output<typeof settings>;

const schema = z.object({
  rope_theta: factor,
  partial_rotary_factor: maybe(positive.max(1)),
  original_max_position_embeddings: factor,
  rope_scaling: maybe(settings),
  rope_parameters: maybe(settings),
});

export interface RopeDefaults {
  /** max_position_embeddings */
  readonly positions: number;
  readonly headDim: number;
  /** Where config.json does not say: the base, which part of a head is rotated, and what it was first trained on. */
  readonly theta?: number;
  readonly part?: number;
  readonly originalPositions?: number;
}

/** Throws UNSUPPORTED_ARCHITECTURE for other scalings, CONFIG_INVALID for missing factors. */
export function parseRope(config: unknown, defaults: RopeDefaults): Rope {
  const { rope_parameters: newer, rope_scaling: older, ...top } = parseModelConfig(schema, config);
  const given: Settings = older ?? newer ?? settings.parse({});
  const { theta, part, originalPositions } = basis(given, top, defaults);
  const { positions, headDim } = defaults;
  const type = given.rope_type ?? given.type ?? 'default';
  const scaling = Object.hasOwn(scalings, type) ? scalings[type] : undefined;
  if (!scaling) throw unsupported(`rope scaling "${type}"`, Object.keys(scalings));
  const pairs = pairsOf(Math.trunc(headDim * part), { theta, headDim, type });
  return { ...pairs, ...scaling(given, { positions, originalPositions, dim: pairs.dim }) };
}

/** What may stand in the settings or beside them. Of `original_max_position_embeddings` the one beside them counts. */
function basis(
  given: Settings,
  top: Pick<Settings, keyof z.output<typeof schema> & keyof Settings>,
  defaults: RopeDefaults,
): Required<Pick<RopeDefaults, 'theta' | 'part' | 'originalPositions'>> {
  return {
    theta: given.rope_theta ?? top.rope_theta ?? defaults.theta ?? 10_000,
    part: given.partial_rotary_factor ?? top.partial_rotary_factor ?? defaults.part ?? 1,
    originalPositions:
      top.original_max_position_embeddings ??
      given.original_max_position_embeddings ??
      defaults.originalPositions ??
      defaults.positions,
  };
}

/**
 * An odd number is rounded up, with the frequencies that the odd one gives: θ^(-2i/n). The scalings that look at the
 * number itself are not defined then.
 */
function pairsOf(
  numbers: number,
  { theta, headDim, type }: { theta: number; headDim: number; type: string },
): Pick<Rope, 'theta' | 'dim'> {
  const dim = numbers + (numbers % 2);
  if (dim === numbers && dim >= 2) return { theta, dim };
  if (dim < 2 || dim > headDim || type === 'dynamic' || type === 'yarn') {
    throw invalidConfig(`${numbers} rotated numbers of a head are not pairs`);
  }
  return { theta: theta ** (dim / numbers), dim };
}

/** Tokens that a sequence may have: some scalings stretch what max_position_embeddings says, others are in it. */
export function contextOf(rope: Rope, positions: number): number {
  if (rope.type === 'linear' || rope.type === 'dynamic') return Math.floor(positions * rope.factor);
  if (rope.type !== 'yarn') return positions;
  return Math.max(positions, Math.floor(rope.originalPositions * rope.factor));
}

type Parse = (
  given: Settings,
  sizes: { positions: number; originalPositions: number; dim: number },
) => Scaling;

const longrope: Parse = (given, { positions, originalPositions, dim }) => {
  const scale = given.factor ?? positions / originalPositions;
  return {
    type: 'longrope',
    shortFactors: perPair(given, 'short_factor', dim),
    longFactors: perPair(given, 'long_factor', dim),
    originalPositions,
    attentionFactor: given.attention_factor ?? longropeAttentionFactor(scale, originalPositions),
  };
};

const scalings: Readonly<Record<string, Parse>> = {
  default: () => ({ type: 'default' }),
  linear: (given) => ({ type: 'linear', factor: needed(given, 'factor') }),
  dynamic: (given, { positions }) => ({
    type: 'dynamic',
    factor: needed(given, 'factor'),
    originalPositions: positions,
  }),
  llama3: (given, { originalPositions }) => ({
    type: 'llama3',
    factor: needed(given, 'factor'),
    lowFrequencyFactor: needed(given, 'low_freq_factor'),
    highFrequencyFactor: needed(given, 'high_freq_factor'),
    originalPositions,
  }),
  yarn: (given, { positions, originalPositions }) => {
    const scale = given.factor ?? positions / originalPositions;
    return {
      type: 'yarn',
      factor: scale,
      originalPositions,
      betaFast: given.beta_fast ?? 32,
      betaSlow: given.beta_slow ?? 1,
      attentionFactor: given.attention_factor ?? defaultAttentionFactor(given, scale),
      isTruncated: given.truncate ?? true,
    };
  },
  longrope,
  /** An older name of it. */
  su: longrope,
};

function defaultAttentionFactor({ mscale, mscale_all_dim: all }: Settings, factor: number): number {
  if (!mscale || !all) return yarnAttentionFactor(factor);
  return yarnAttentionFactor(factor, mscale) / yarnAttentionFactor(factor, all);
}

type Factor = 'factor' | 'low_freq_factor' | 'high_freq_factor';

function needed(given: Settings, name: Factor): number {
  const value = given[name];
  if (value === undefined) throw invalidConfig(`the rope scaling needs "${name}"`);
  return value;
}

function perPair(given: Settings, name: 'short_factor' | 'long_factor', dim: number) {
  const values = given[name];
  if (values?.length === dim / 2) return values;
  throw invalidConfig(`the rope scaling needs "${name}" with ${dim / 2} numbers`);
}
