import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attention, attentionInputs } from '../../../../../server/onnx/blocks/attention.ts';
import {
  floats,
  integers,
  largestDifference,
  noise,
  runBlock,
} from '../../../../support/run-graph.ts';

const [B, S, heads, kvHeads] = [2, 5, 4, 2];
const rope = { type: 'default', theta: 100 } as const;

async function run(headDim: number, q: Float32Array, k: Float32Array, v: Float32Array) {
  const feeds = {
    ids: integers([B, S], new Int32Array(B * S)),
    q: floats([B * S, heads * headDim], q),
    k: floats([B * S, kvHeads * headDim], k),
    v: floats([B * S, kvHeads * headDim], v),
  };
  const { y } = await runBlock(feeds, (tape, inputs) => {
    const sizes = { heads, kvHeads, headDim, rope, positions: 8 };
    return { y: attention(tape, inputs, attentionInputs(tape, inputs.ids, sizes)) };
  });
  return y!.data;
}

/** One row and head of the answer, plainly. */
function attend(headDim: number, arrays: Float32Array[], [b, s, head]: [number, number, number]) {
  const [q, k, v] = arrays as [Float32Array, Float32Array, Float32Array];
  const at = (x: Float32Array, position: number, count: number, index: number) => {
    const start = ((b * S + position) * count + index) * headDim;
    return [...x.subarray(start, start + headDim)];
  };
  const rotate = (x: number[], position: number) =>
    x.map((value, i) => {
      const pair = i % (headDim / 2);
      const angle = position * rope.theta ** ((-2 * pair) / headDim);
      const other = i < headDim / 2 ? -x[i + headDim / 2]! : x[i - headDim / 2]!;
      return value * Math.cos(angle) + other * Math.sin(angle);
    });
  const kvHead = Math.floor((head * kvHeads) / heads);
  const query = rotate(at(q, s, heads, head), s);
  const weights = Array.from({ length: s + 1 }, (_, p) => {
    const key = rotate(at(k, p, kvHeads, kvHead), p);
    return Math.exp(query.reduce((dot, x, i) => dot + x * key[i]!, 0) / Math.sqrt(headDim));
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: headDim }, (_, i) =>
    weights.reduce((sum, weight, p) => sum + (weight / total) * at(v, p, kvHeads, kvHead)[i]!, 0),
  );
}

describe('attention', () => {
  for (const headDim of [16, 8, 24]) {
    it(`is causal, grouped and rotated with heads of ${headDim}`, async () => {
      const q = noise(B * S * heads * headDim, 1);
      const k = noise(B * S * kvHeads * headDim, 2);
      const v = noise(B * S * kvHeads * headDim, 3);

      const found = await run(headDim, q, k, v);

      for (let row = 0; row < B * S * heads; row++) {
        const place: [number, number, number] = [
          Math.floor(row / (S * heads)),
          Math.floor(row / heads) % S,
          row % heads,
        ];
        const expected = attend(headDim, [q, k, v], place);
        const slice = found.slice(row * headDim, (row + 1) * headDim);
        assert.ok(largestDifference(slice, expected) < 1e-5);
      }
    });
  }

  it('ignores what stands after a position, so that padding on the right is harmless', async () => {
    const sizes = [B * S * heads * 16, B * S * kvHeads * 16, B * S * kvHeads * 16];
    const arrays = sizes.map((size, i) => noise(size, i + 1)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const changed = arrays.map((x) => {
      const perRow = x.length / B;
      return x.map((value, i) => (i % perRow >= (perRow / S) * 3 ? 9 : value));
    }) as typeof arrays;

    const before = await run(16, ...arrays);
    const after = await run(16, ...changed);

    const perRow = before.length / B;
    const kept = (values: number[]) => values.filter((_, i) => i % perRow < (perRow / S) * 3);
    assert.deepEqual(kept(after), kept(before));
  });
});
