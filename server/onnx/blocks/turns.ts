// Rotary embeddings of many heads by one block of threads. A kernel that gives each head of each token its own block
// spends its time on starting them; heads whose pairs of numbers lie side by side may follow one another as if they
// were one wide head. Source of the two orders: RoFormer (arXiv:2104.09864), pairs (2i, 2i+1); Hugging Face's Llama,
// pairs (i, i + d/2), which is what checkpoints are made for.
import { int, int64Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import type { TableRotation } from './attention.ts';
import { reordered } from './linear.ts';
import { at, type Scope } from './scope.ts';
import type { Linear } from './weights.ts';

/** Threads of a block, one for each number. */
const maxWidth = 1024;

/** How many of `count` heads follow one another as one: a divisor of it. */
export function headsPerRun(count: number, headDim: number): number {
  for (let heads = Math.min(count, Math.floor(maxWidth / headDim)); heads > 1; heads--) {
    if (count % heads === 0) return heads;
  }
  return 1;
}

/** Rows of a projection in the order in which both numbers of a pair (i, i + d/2) stand side by side. */
export const pairedRows = (heads: number, headDim: number): number[] =>
  Array.from({ length: heads * headDim }, (_, row) => {
    const head = row - (row % headDim);
    return head + (row % 2) * (headDim / 2) + Math.floor((row % headDim) / 2);
  });

/**
 * x [n, h] → rotated heads [n, count·d], each in the order of `pairedRows`: products of two such heads are what they
 * were. `of` is a table of positions over all of a head. Nothing where the weight cannot be reordered.
 */
export function turnedHeads(
  scope: Scope,
  x: Value,
  layer: Linear,
  { of, count }: { of: TableRotation; count: number },
): Value | undefined {
  const { tape } = scope;
  const headDim = layer.rows / count;
  const product = reordered(scope, layer, pairedRows(count, headDim));
  if (!product) return undefined;
  const heads = headsPerRun(count, headDim);
  const batch = tape.constant('index_0', int64Tensor([0], [1]));
  const inner = at(scope, 'turn').tape;
  const rows = inner.op('Unsqueeze', [product(tape, x), batch]); // [1, n, count·d]
  const [cos, sin] = [of.cos, of.sin].map((table) => repeated(tape, table, heads));
  const turned = inner.op('RotaryEmbedding', [rows, of.positions, cos, sin], {
    num_heads: int(count / heads),
    interleaved: int(1),
    is_packed_batching: int(1), // more tokens than the table has positions
  });
  return inner.op('Squeeze', [turned, batch]);
}

/** A table [positions, d/2] for each of `heads` heads side by side, made once a pass. */
const repeated = (tape: Tape, table: Value, heads: number): Value =>
  tape.once(`${table.name} × ${heads}`, () =>
    tape.op('Concat', Array<Value>(heads).fill(table), { axis: int(1) }),
  );
