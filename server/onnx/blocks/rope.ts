// Rotary position embeddings: frequencies and tables, in float64 until the last step. Knows no graph.
// Sources: RoFormer (arXiv:2104.09864); YaRN (arXiv:2309.00071); the scalings as Hugging Face transformers
// defines them in modeling_rope_utils.py.

export type Rope = { readonly theta: number } & (
  | { readonly type: 'default' }
  | { readonly type: 'linear'; readonly factor: number }
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
);

/** Radians per position of each pair of dimensions: float64 [dim/2]. */
export function frequencies(rope: Rope, dim: number): Float64Array {
  const plain = Float64Array.from({ length: dim / 2 }, (_, i) => rope.theta ** ((-2 * i) / dim));
  if (rope.type === 'linear') return plain.map((frequency) => frequency / rope.factor);
  if (rope.type === 'llama3') return plain.map((frequency) => llama3(rope, frequency));
  if (rope.type === 'yarn') return yarn(rope, plain, dim);
  return plain;
}

/** Long waves are slowed by `factor`, short ones kept, those between mixed. */
function llama3(rope: Extract<Rope, { type: 'llama3' }>, frequency: number): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high } = rope;
  const turns = (rope.originalPositions * frequency) / (2 * Math.PI);
  const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return (1 - kept) * (frequency / factor) + kept * frequency;
}

/** As llama3, with a ramp over the index of the dimension instead of over the number of turns. */
function yarn(
  rope: Extract<Rope, { type: 'yarn' }>,
  plain: Float64Array,
  dim: number,
): Float64Array {
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

/** cos and sin of every position and pair: float32 [positions, dim/2] each. */
export function ropeTables(
  rope: Rope,
  dim: number,
  positions: number,
): { cos: Float32Array; sin: Float32Array } {
  const turns = frequencies(rope, dim);
  const scale = rope.type === 'yarn' ? rope.attentionFactor : 1;
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
