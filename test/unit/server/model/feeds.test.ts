import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pack, packTokens } from '../../../../server/model/batch/pack.ts';
import { Feeder } from '../../../../server/model/feeds.ts';
import type { Rope } from '../../../../server/onnx/blocks/rope.ts';

const plain: Rope = { type: 'default', theta: 100, dim: 4 };
const dynamic: Rope = { type: 'dynamic', theta: 100, dim: 8, factor: 2, originalPositions: 3 };
const rows = [[5, 6, 7], [5, 6], [9]].map((tokens) => ({ tokens: Int32Array.from(tokens) }));

describe('Feeder', () => {
  it('gives each packed token its angle, for every rope', () => {
    const feeds = new Feeder({ ropes: [plain, dynamic] }).tokens(packTokens(rows));

    const positions = feeds['positions']?.data as Int32Array;
    const cos = feeds['rope.0.cos'];
    assert.deepEqual(cos?.shape, [4, 2]);
    positions.forEach((position, i) => {
      assert.equal(cos.data[2 * i], Math.fround(Math.cos(position)));
    });
    assert.deepEqual(feeds['rope.1.sin']?.shape, [4, 4]);
  });

  it('gives rectangles as rows of five', () => {
    const feeds = new Feeder({ ropes: [] }).tokens(packTokens(rows));

    const rectangles = feeds['rectangles'];
    assert.equal(rectangles?.shape[1], 5);
    assert.equal(rectangles.data.length, 5 * rectangles.shape[0]!);
  });

  it('lets rows share only where every rope turns them alike', () => {
    const { regimeOf } = new Feeder({ ropes: [plain, dynamic] });

    assert.equal(regimeOf(1), regimeOf(3));
    assert.notEqual(regimeOf(3), regimeOf(4));
    assert.notEqual(regimeOf(4), regimeOf(5));
    assert.equal(new Feeder({ ropes: [plain] }).regimeOf(1000), 0);
  });

  it('adds what a head takes', () => {
    const feeder = new Feeder({ ropes: [plain] });
    const asked = rows.map((row) => ({ ...row, scoreFrom: 1, wantsNext: false, topK: 2 }));
    const batch = pack(asked, { vocabularySize: 10, maxChunkRows: 2 });

    assert.deepEqual(feeder.scores(batch!)['scored']?.shape, batch?.scoredShape);
    assert.deepEqual([...feeder.scores(batch!)['top_k']!.data], [2n]);
    assert.equal(feeder.rewards(packTokens(rows))['last']?.data.length, 3);
  });
});
