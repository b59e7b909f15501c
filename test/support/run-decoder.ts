// Runs a decoder's graph in this process over rows of tokens: one rectangle each, nothing shared.
import type { Decoder } from '../../server/onnx/arch/decoder.ts';
import { decoderGraph } from '../../server/onnx/arch/decoder.ts';
import { RopeTable } from '../../server/onnx/blocks/rope.ts';
import type { Weights } from '../../server/onnx/blocks/weights.ts';
import { type Array2, floats, integers, longs, runGraph } from './run-graph.ts';
import { headFeeds } from './tiny-head.ts';

type Rows = readonly (readonly number[])[];

/** Log-probabilities of every token but the first of each row. */
export async function logprobsOf(
  decoder: Decoder,
  weights: Weights,
  rows: Rows,
): Promise<number[]> {
  const scored = rows.flatMap((row, r) => row.slice(1).map((_, i) => startOf(rows, r) + i));
  const targets = rows.flatMap((row) => row.slice(1));
  const outputs = await runGraph(decoderGraph(decoder, weights), {
    ...feedsOf(decoder, rows),
    ...headFeeds({ scored: [scored], targets: [targets] }),
  });
  return outputs['logprobs']?.data ?? [];
}

/** The scores of each row, one after another. */
export async function rewardsOf(decoder: Decoder, weights: Weights, rows: Rows): Promise<number[]> {
  const last = rows.map((row, r) => startOf(rows, r) + row.length - 1);
  const outputs = await runGraph(decoderGraph(decoder, weights), {
    ...feedsOf(decoder, rows),
    last: integers([last.length], last),
  });
  return outputs['rewards']?.data ?? [];
}

const startOf = (rows: Rows, r: number): number =>
  rows.slice(0, r).reduce((sum, row) => sum + row.length, 0);

export function feedsOf({ embedding, ropes }: Decoder, rows: Rows): Record<string, Array2> {
  const tokens = rows.flat();
  const n = tokens.length;
  const positions = Int32Array.from(rows.flatMap((row) => row.map((_, i) => i)));
  const lengths = Int32Array.from(rows.flatMap((row) => row.map(() => row.length)));
  const places = tokens.map((_, i) => i);
  const angles = ropes.flatMap((rope, index) => {
    const { cos, sin } = new RopeTable(rope).rows(positions, lengths);
    const shape = [n, rope.dim / 2];
    return [
      [`rope.${index}.cos`, floats(shape, cos)] as const,
      [`rope.${index}.sin`, floats(shape, sin)] as const,
    ];
  });
  const rectangles = rows.flatMap((row, r) => [1, row.length, 0, startOf(rows, r), 0]);
  return {
    tokens: integers([n], tokens),
    ...(embedding.positions && { positions: integers([n], positions) }),
    ...Object.fromEntries(angles),
    rectangles: longs([rows.length, 5], rectangles),
    slots: integers([n], places),
    past: integers([0], []),
    places: integers([n], places),
  };
}
