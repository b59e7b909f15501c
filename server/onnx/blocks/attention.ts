// Causal attention with grouped heads and rotary positions, over right-padded rows.
import { float32Tensor, int, int32Tensor, int64Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { type Rope, ropeTables } from './rope.ts';

/** What every layer of one graph shares. Made once by `attentionInputs`. */
export interface Attention {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** int64 [3]: batch, sequence, -1 */
  readonly rowShape: Value;
  /** int32 [B]: length - 1 of each row. Padding is on the right, so causality hides it: S-1 for all. */
  readonly lastIndex: Value;
  /** int32 [1]: S */
  readonly length: Value;
  /** float32 [positions, headDim/2] */
  readonly cos: Value;
  readonly sin: Value;
}

export interface AttentionSizes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly rope: Rope;
  /** Longest row. */
  readonly positions: number;
}

/** The shared part, from ids [B, S]. */
export function attentionInputs(tape: Tape, ids: Value, sizes: AttentionSizes): Attention {
  const { heads, kvHeads, headDim, rope, positions } = sizes;
  const tables = ropeTables(rope, headDim, positions);
  const shape = tape.op('Shape', [ids]);
  const rest = tape.constant('minus_one', int64Tensor([-1], [1]));
  const [batch, sequence] = tape.ops('Split', [shape], { num_outputs: int(2) }, [
    'batch',
    'length',
  ]);
  const length = tape.op('Cast', [sequence], { to: int(6) });
  const one = tape.constant('one', int32Tensor([1], [1]));
  const width = headDim / 2;
  return {
    heads,
    kvHeads,
    headDim,
    rowShape: tape.op('Concat', [shape, rest], { axis: int(0) }),
    lastIndex: tape.op('Expand', [tape.op('Sub', [length, one]), batch]),
    length,
    cos: tape.constant('rope.cos', float32Tensor(tables.cos, [positions, width])),
    sin: tape.constant('rope.sin', float32Tensor(tables.sin, [positions, width])),
  };
}

/**
 * q [B·S, heads·d], k and v [B·S, kvHeads·d] → [B·S, heads·d]
 *
 *   q ─ Reshape ─ (rotate) ─┐
 *   k ─ Reshape ─ (rotate) ─┼─ GroupQueryAttention ─ Reshape
 *   v ─ Reshape ────────────┘
 *
 * GroupQueryAttention rotates by itself where it can: head sizes that are multiples of 16. Its cache outputs are
 * named though nothing reads them: with a single output the CPU kernel keeps all S² scores.
 */
export function attention(
  tape: Tape,
  { q, k, v }: Record<'q' | 'k' | 'v', Value>,
  shared: Attention,
): Value {
  const { heads, kvHeads, headDim, rowShape, lastIndex, length, cos, sin } = shared;
  const isFused = headDim % 16 === 0;
  const rows = (x: Value) => tape.op('Reshape', [x, rowShape]);
  const rotated = (x: Value, count: number) =>
    isFused ? rows(x) : rotate(tape, rows(x), shared, count);
  const inputs = [rotated(q, heads), rotated(k, kvHeads), rows(v), undefined, undefined];
  const [output] = tape.ops(
    'GroupQueryAttention',
    [...inputs, lastIndex, length, ...(isFused ? [cos, sin] : [])],
    { num_heads: int(heads), kv_num_heads: int(kvHeads), do_rotary: int(isFused ? 1 : 0) },
    ['output_0', 'present_key', 'present_value'],
  );
  const flat = tape.constant(`flat_${heads * headDim}`, int64Tensor([-1, heads * headDim], [2]));
  return tape.op('Reshape', [output, flat]);
}

/** x [B, S, heads·d], position 0 first */
function rotate(tape: Tape, x: Value, { headDim, cos, sin }: Attention, heads: number): Value {
  const start = tape.constant('index_0', int64Tensor([0], [1]));
  return tape.op('RotaryEmbedding', [x, start, cos, sin], {
    num_heads: int(heads),
    rotary_embedding_dim: int(headDim),
  });
}
