// Rotary position embeddings: frequencies and the rows of a batch, in float64 until the last step. Knows no graph.
// Sources: RoFormer (arXiv:2104.09864); YaRN (arXiv:2309.00071); LongRoPE (arXiv:2402.13753); the scalings as
// Hugging Face transformers defines them in modeling_rope_utils.py.

export type Rope = {
  readonly theta: number;
  /** How many leading numbers of a head are rotated. */
  readonly dim: number;
} & Scaling;

export type Scaling =
  | { readonly type: 'default' }
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'dynamic';
      readonly factor: number;
      /** Rows up to this length are not scaled. */
      readonly originalPositions: number;
    }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalPositions: number;
    }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly originalPositions: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly attentionFactor: number;
      /** Whether the borders of the ramp are rounded to whole dimensions. */
      readonly isTruncated: boolean;
    }
  | {
      readonly type: 'longrope';
      /** One per pair of dimensions, for rows up to and beyond `originalPositions`. */
      readonly shortFactors: readonly number[];
      readonly longFactors: readonly number[];
      readonly originalPositions: number;
      readonly attentionFactor: number;
    };

/**
 * Rows of one regime are rotated alike. 0 for those that are not longer than what the model was first trained on;
 * beyond that `dynamic` has one for each length and `longrope` has one for all.
 */
export function regimeOf(rope: Rope, length: number): number {
  if (rope.type === 'dynamic') return length > rope.originalPositions ? length : 0;
  if (rope.type === 'longrope') return length > rope.originalPositions ? 1 : 0;
  return 0;
}

/** Whether all rows are rotated alike, however long they are. */
export const isOneRegime = ({ type }: Rope): boolean => type !== 'dynamic' && type !== 'longrope';

/** Radians per position of each pair of dimensions: float64 [dim/2]. */
export function frequencies(rope: Rope, regime = 0): Float64Array {
  const plain = (theta = rope.theta) =>
    Float64Array.from({ length: rope.dim / 2 }, (_, i) => theta ** ((-2 * i) / rope.dim));
  switch (rope.type) {
    case 'default':
      return plain();
    case 'linear':
      return plain().map((frequency) => frequency / rope.factor);
    case 'dynamic':
      return plain(rope.theta * stretch(rope, regime));
    case 'llama3':
      return plain().map((frequency) => llama3(rope, frequency));
    case 'yarn':
      return yarn(rope, plain());
    case 'longrope':
      break;
  }
  const factors = regime === 0 ? rope.shortFactors : rope.longFactors;
  return plain().map((frequency, i) => frequency / (factors[i] ?? NaN));
}

type Scaled<T extends Rope['type']> = Extract<Rope, { type: T }>;

/** How much the base grows for a row of `length`. */
function stretch({ factor, originalPositions, dim }: Scaled<'dynamic'>, length: number): number {
  const ratio = Math.max(length, originalPositions) / originalPositions;
  return (factor * ratio - (factor - 1)) ** (dim / (dim - 2));
}

/** Long waves are slowed by `factor`, short ones kept, those between mixed. */
function llama3(rope: Scaled<'llama3'>, frequency: number): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high } = rope;
  const turns = (rope.originalPositions * frequency) / (2 * Math.PI);
  const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return (1 - kept) * (frequency / factor) + kept * frequency;
}

/** As llama3, with a ramp over the index of the dimension instead of over the number of turns. */
function yarn(rope: Scaled<'yarn'>, plain: Float64Array): Float64Array {
  const { dim } = rope;
  const border = (turns: number) =>
    (dim * Math.log(rope.originalPositions / (turns * 2 * Math.PI))) / (2 * Math.log(rope.theta));
  const round = rope.isTruncated ? Math.floor : (x: number) => x;
  const low = Math.max(round(border(rope.betaFast)), 0);
  const high = Math.min(-round(-border(rope.betaSlow)), dim - 1);
  const width = low === high ? 0.001 : high - low;
  return plain.map((frequency, i) => {
    const slowed = Math.min(1, Math.max(0, (i - low) / width));
    return slowed * (frequency / rope.factor) + (1 - slowed) * frequency;
  });
}

/** YaRN's growth of the attention logits with the context: 0.1·mscale·ln(factor) + 1. */
export const yarnAttentionFactor = (factor: number, mscale = 1): number =>
  factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;

/** LongRoPE's: √(1 + ln(factor) / ln(original)). */
export const longropeAttentionFactor = (factor: number, originalPositions: number): number =>
  factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalPositions));

/** float32 [n, dim/2] each. */
export interface Angles {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** Positions that a table grows by. */
const growth = 256;

/** The angles of tokens. It remembers those it has computed, except where each length has its own. */
export class RopeTable {
  readonly #rope: Rope;
  readonly #scale: number;
  /** Per regime. */
  readonly #tables = new Map<number, Angles>();

  constructor(rope: Rope) {
    this.#rope = rope;
    this.#scale = 'attentionFactor' in rope ? rope.attentionFactor : 1;
  }

  /** Angles of tokens at `positions` [n] in rows of `lengths` [n]. */
  rows(positions: Int32Array, lengths: Int32Array): Angles {
    const width = this.#rope.dim / 2;
    const cos = new Float32Array(positions.length * width);
    const sin = new Float32Array(positions.length * width);
    for (const [i, position] of positions.entries()) {
      const regime = regimeOf(this.#rope, lengths[i] ?? 0);
      const table = this.#table(regime, position);
      const from = position * width;
      cos.set(table.cos.subarray(from, from + width), i * width);
      sin.set(table.sin.subarray(from, from + width), i * width);
    }
    if (this.#rope.type === 'dynamic') this.#forgetLengths();
    return { cos, sin };
  }

  /** Angles of positions 0 … `count` - 1, for a rope of one regime. */
  upTo(count: number): Angles {
    const { cos, sin } = this.#table(0, count - 1);
    const end = (count * this.#rope.dim) / 2;
    return { cos: cos.subarray(0, end), sin: sin.subarray(0, end) };
  }

  /** One that holds `position`. */
  #table(regime: number, position: number): Angles {
    const known = this.#tables.get(regime);
    const width = this.#rope.dim / 2;
    if (known && known.cos.length > position * width) return known;
    const positions = Math.max(position + growth, (2 * (known?.cos.length ?? 0)) / width);
    const table = angles(frequencies(this.#rope, regime), positions, this.#scale);
    this.#tables.set(regime, table);
    return table;
  }

  #forgetLengths(): void {
    for (const regime of this.#tables.keys()) if (regime > 0) this.#tables.delete(regime);
  }
}

/** Of positions 0 … `positions` - 1. */
function angles(turns: Float64Array, positions: number, scale: number): Angles {
  const cos = new Float32Array(positions * turns.length);
  const sin = new Float32Array(positions * turns.length);
  for (let position = 0, at = 0; position < positions; position++) {
    for (const frequency of turns) {
      cos[at] = scale * Math.cos(position * frequency);
      sin[at] = scale * Math.sin(position * frequency);
      at++;
    }
  }
  return { cos, sin };
}
