import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pack, packTokens } from '../../../../server/model/batch/pack.ts';
import { Feeder } from '../../../../server/model/feeds.ts';
import type { Layer } from '../../../../server/onnx/arch/decoder.ts';
import type { Rope } from '../../../../server/onnx/blocks/rope.ts';
import { scoreAll } from '../../../support/engine-kit.ts';

const plain: Rope = { type: 'default', theta: 100, dim: 4 };
const dynamic: Rope = { type: 'dynamic', theta: 100, dim: 8, factor: 2, originalPositions: 3 };
const layers = [layerOf(64)];
const rows = [[5, 6, 7], [5, 6], [9]].map((tokens) => ({ tokens: Int32Array.from(tokens) }));

/** With heads of `headDim`. */
function layerOf(headDim: number): Layer {
  const linear = (name: string) => ({ name, rows: 4 * headDim, columns: 4 * headDim });
  const [q, k, v] = [linear('q'), linear('k'), linear('v')];
  const qkv = { kind: 'Separate', q, k, v } as const;
  return {
    attention: { heads: 4, kvHeads: 2, headDim, qkv, output: linear('o') },
    mlp: { kind: 'Plain', up: linear('up'), down: linear('down'), activation: 'ReLU' },
  };
}

describe('Feeder', () => {
  it('gives each packed token its angle, for every rope', () => {
    const feeds = new Feeder({ ropes: [plain, dynamic], layers }).tokens(packTokens(rows));

    const positions = feeds['positions']?.data as Int32Array;
    const cos = feeds['rope.0.cos'];
    assert.deepEqual(cos?.shape, [4, 2]);
    positions.forEach((position, i) => {
      assert.equal(cos.data[2 * i], Math.fround(Math.cos(position)));
    });
    assert.deepEqual(feeds['rope.1.sin']?.shape, [4, 4]);
  });

  it('gives rectangles as rows of five', () => {
    const feeds = new Feeder({ ropes: [], layers }).tokens(packTokens(rows));

    const rectangles = feeds['rectangles'];
    assert.equal(rectangles?.shape[1], 5);
    assert.equal(rectangles.data.length, 5 * rectangles.shape[0]!);
  });

  it('lets rows share only where every rope turns them alike', () => {
    const { regimeOf = () => 0 } = new Feeder({ ropes: [plain, dynamic], layers }).packing;

    assert.equal(regimeOf(1), regimeOf(3));
    assert.notEqual(regimeOf(3), regimeOf(4));
    assert.notEqual(regimeOf(4), regimeOf(5));
    assert.equal(new Feeder({ ropes: [plain], layers }).packing.regimeOf?.(1000), 0);
  });

  it('adds what a head takes', () => {
    const feeder = new Feeder({ ropes: [plain], layers });
    const asked = rows.map(({ tokens }) => scoreAll(tokens, { topK: 2, temperature: 2 }));
    const batch = pack(asked, { vocabularySize: 10, maxChunkRows: 2 });

    assert.deepEqual(feeder.scores(batch!)['scored']?.shape, batch?.scoredShape);
    assert.deepEqual([...feeder.scores(batch!)['top_k']!.data], [2n]);
    assert.deepEqual([...feeder.scores(batch!)['is_tempered']!.data], [1]);
    assert.deepEqual([...feeder.scores(batch!)['wants_ranks']!.data], [0]);
    assert.equal(feeder.rewards(packTokens(rows))['last']?.data.length, 3);
  });

  it('gives pages, and angles by position, to what attends over pages', () => {
    const rope: Rope = { type: 'default', theta: 100, dim: 16 };
    const feeder = new Feeder({ ropes: [rope], layers }, { provider: 'CUDA', type: 'bfloat16' });
    const packed = packTokens(rows, feeder.packing);

    const feeds = feeder.tokens(packed);

    assert.equal(feeder.packing.pageTokens, 256);
    assert.equal(feeds['rectangles'], undefined);
    assert.deepEqual([...feeds['query_starts']!.data], [0, 3, 4]);
    assert.deepEqual([...feeds['cache_2x64']!.data].map(Number), [2, 256, 2, 64]);
    assert.deepEqual(feeds['rope.0.cos']?.shape, [3, 8]);
    assert.deepEqual([...feeds['length_bounds']!.data], [3, 3]);
  });

  it('keeps the angles of tokens where rows of different lengths turn differently', () => {
    const target = { provider: 'CUDA', type: 'bfloat16' } as const;
    const feeder = new Feeder({ ropes: [dynamic], layers }, target);

    const packed = packTokens(rows, feeder.packing);

    assert.deepEqual(feeder.tokens(packed)['rope.0.cos']?.shape, [packed.tokens.length, 4]);
  });
});
