import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  chunkRowsFor,
  type PackedTokens,
  pack,
  packTokens,
} from '../../../../../server/model/batch/pack.ts';
import {
  layOutRectangles,
  type RectangleArrays,
} from '../../../../../server/model/batch/rectangles.ts';
import { asksAnything } from '../../../../../server/model/scoring.ts';
import type { Provider } from '../../../../../server/onnx/target.ts';
import { alikeRows, beginnings } from '../../../../support/alike-rows.ts';
import { vocabularySize } from '../../../../support/bigram-model.ts';
import { scoreAll, scoreFrom } from '../../../../support/engine-kit.ts';
import { scoreRows } from '../../../../support/score-rows.ts';

const options = { vocabularySize, maxChunkRows: 4 };

/** The packed tokens that the query of each slot sees, itself the last. */
function contexts({ slots, past, rectangles }: RectangleArrays): Int32Array[] {
  const seen: Int32Array[] = [];
  for (let r = 0; r < rectangles.length; r += 5) {
    const [rows = 0, length = 0, pastLength = 0, slot = 0, start = 0] = Array.from(
      rectangles.subarray(r, r + 5),
      Number,
    );
    assert.equal(slot, seen.length);
    for (let i = 0; i < rows * length; i++) {
      const own = slots.subarray(slot + i - (i % length), slot + i + 1);
      seen.push(Int32Array.from([...past.subarray(start, start + pastLength), ...own]));
    }
  }
  assert.equal(seen.length, slots.length);
  return seen;
}

/** What attention does for each packed token: the tokens that it sees. */
function contextsByToken(packed: PackedTokens): Int32Array[] {
  const laid = layOutRectangles(packed);
  const seen = contexts(laid);
  return Array.from(laid.places, (place) => seen[place]!);
}

describe('packTokens', () => {
  it('computes what rows begin with once, the rest of each behind it', () => {
    const prompt = Array.from({ length: 100 }, (_, i) => i);
    const rows = [[...prompt, 7, 8], [...prompt, 9], prompt].map((ids) => scoreAll(ids));

    const packed = packTokens(rows);

    assert.equal(packed.tokens.length, 103);
    const { rectangles } = layOutRectangles(packed);
    assert.deepEqual([...rectangles].map(Number), [1, 1, 100, 0, 0, 1, 102, 0, 1, 100]);
    assert.deepEqual(
      [...packed.last].map((at) => packed.tokens[at]),
      [8, 9, 99],
    );
  });

  it('puts rows of like lengths side by side, the shorter padded with its last token', () => {
    const packed = packTokens([scoreAll([1, 2, 3]), scoreAll([4, 5])]);

    const { rectangles, slots } = layOutRectangles(packed);
    assert.deepEqual([...rectangles].map(Number), [2, 3, 0, 0, 0]);
    assert.deepEqual(
      [...slots].map((at) => packed.tokens[at]),
      [1, 2, 3, 4, 5, 5],
    );
  });

  it('shares nothing between rows whose lengths mean different things', () => {
    const rows = [scoreAll([1, 2, 3]), scoreAll([1, 2])];

    assert.equal(packTokens(rows, { regimeOf: (length) => Number(length > 2) }).tokens.length, 5);
    assert.equal(packTokens(rows).tokens.length, 3);
  });

  it('gives every token one place, where it sees the beginning of its rows and nothing else', () => {
    fc.assert(
      fc.property(alikeRows, (rows) => {
        const packed = packTokens(rows.map((row) => scoreAll(row)));
        const seen = contextsByToken(packed);

        assert.equal(packed.tokens.length, beginnings(rows).size);
        assert.equal(new Set(layOutRectangles(packed).places).size, packed.tokens.length);
        for (const [at, context] of seen.entries()) {
          assert.equal(context.at(-1), at);
          assert.equal(context.length, packed.positions[at]! + 1);
          if (context.length > 1) assert.deepEqual(context.slice(0, -1), seen[context.at(-2)!]);
        }
        for (const [r, row] of rows.entries()) {
          const path = seen[packed.last[r]!]!;
          assert.deepEqual(
            path.map((at) => packed.tokens[at]!),
            row,
          );
        }
      }),
    );
  });

  it('pads less than a tenth of attention, and nothing else, where rows are as long as in training', () => {
    const length = fc
      .record({
        prompt: fc.integer({ min: 50, max: 800 }),
        completion: fc.integer({ min: 20, max: 1000 }),
      })
      .map(({ prompt, completion }) => prompt + completion);
    const mix = fc.array(length, { minLength: 8, maxLength: 40 });
    fc.assert(
      fc.property(mix, (lengths) => {
        const rows = lengths.map((length, r) =>
          scoreAll(Array.from({ length }, (_, i) => (i === 0 ? r : i))),
        );
        const packed = packTokens(rows);

        const needed = lengths.reduce((sum, length) => sum + length, 0);
        assert.equal(packed.tokens.length, needed);
        const { rectangles } = layOutRectangles(packed);
        let pairs = 0;
        for (let r = 0; r < rectangles.length; r += 5) {
          const [rows = 0, length = 0, past = 0] = Array.from(
            rectangles.subarray(r, r + 3),
            Number,
          );
          pairs += rows * length * (past + (length + 1) / 2);
        }
        const neededPairs = lengths.reduce((sum, length) => sum + (length * (length + 1)) / 2, 0);
        assert.ok(pairs <= 1.1 * neededPairs, `${pairs} pairs, ${neededPairs} are needed`);
      }),
      { numRuns: 20 },
    );
  });
});

describe('pack', () => {
  it('asks for each scored token after the one before it', () => {
    const batch = pack([scoreAll([5, 6, 7]), scoreAll([8, 9])], options)!;

    assert.deepEqual(
      [...batch.scored].map((at) => batch.tokens[at]),
      [5, 6, 8],
    );
    assert.deepEqual([...batch.targets], [6, 7, 9]);
    assert.deepEqual(batch.scoredShape, [1, 3]);
    assert.equal(batch.topK, 0);
  });

  it('starts where scoring starts, and adds the place after the last token when the next is wanted', () => {
    const rows = [scoreFrom(3, [5, 6, 7, 8], { wantsNext: true })];

    const batch = pack(rows, options)!;

    assert.deepEqual(
      [...batch.scored].map((at) => batch.tokens[at]),
      [7, 8],
    );
    assert.deepEqual([...batch.targets], [8, 0]);
    assert.equal(batch.topK, 1);
  });

  it('is nothing when no position is scored', () => {
    assert.equal(pack([scoreAll([5]), scoreFrom(9, [1, 2])], options), undefined);
  });

  it('asks for no more tops than there are tokens', () => {
    assert.equal(pack([scoreAll([5, 6], { topK: 1000 })], options)?.topK, vocabularySize);
  });

  it('scores each token after each beginning once, and answers every row with it', () => {
    fc.assert(
      fc.property(scoreRows, (rows) => {
        const batch = pack(rows, options);
        if (!batch) {
          assert.ok(!rows.some(asksAnything));
          return;
        }
        const seen = contextsByToken(batch);
        const [chunks, chunkRows] = batch.scoredShape;
        assert.equal(batch.scored.length, chunks * chunkRows);
        assert.ok(chunkRows <= options.maxChunkRows, `${chunkRows} rows in a chunk`);
        const used = new Set(batch.answers.flatMap((numbers) => [...numbers]));
        assert.ok(batch.scored.length - used.size < Math.max(2, chunks), 'a chunk of padding');
        for (const [r, { tokens, positions, wantsNext, temperature = 1 }] of rows.entries()) {
          const numbers: number[] = Array.from(batch.answers[r]!);
          const asked = [...positions, ...(wantsNext ? [tokens.length] : [])];
          assert.equal(numbers.length, asked.length);
          for (const [i, number] of numbers.entries()) {
            const before = seen[batch.scored[number]!]!.map((at) => batch.tokens[at]!);
            assert.deepEqual(before, tokens.slice(0, asked[i]));
            const target: number | undefined = tokens[asked[i]!] ?? batch.targets[number];
            assert.equal(batch.targets[number], target);
            assert.equal(batch.temperatures[number], Math.fround(temperature));
          }
        }
      }),
    );
  });

  it('shares a value only between rows of one temperature without candidates', () => {
    const candidates = { ids: Int32Array.of(3, -1, 4), width: 3 };
    const one = scoreFrom(2, [5, 6, 7]);
    const rows = [
      one,
      one,
      { ...one, temperature: 2 },
      one,
      { ...one, candidates },
      { ...one, candidates },
    ];

    const { answers, temperatures, candidates: ids, candidateWidth } = pack(rows, options)!;

    assert.deepEqual(
      answers.map((numbers) => [...numbers]),
      [[0], [0], [1], [0], [2], [3]],
    );
    assert.deepEqual([...temperatures], [1, 2, 1, 1]);
    assert.equal(candidateWidth, 3);
    assert.deepEqual([...ids].slice(6), [3, 0, 4, 3, 0, 4]);
  });

  it('exposes the hidden row before each asked position once', () => {
    const hidden = { wantsHidden: true };
    const rows = [
      [5, 6, 7],
      [5, 6, 8],
      [5, 6, 7],
    ];

    const batch = pack(
      rows.map((ids, r) => scoreAll(ids, r < 2 ? hidden : {})),
      options,
    )!;

    assert.deepEqual(
      Array.from(batch.exposed, (at) => batch.tokens[at]),
      [5, 6],
    );
    assert.deepEqual(
      batch.exposures.map((numbers) => [...numbers]),
      [[0, 1], [0, 1], []],
    );
  });
});

describe('chunkRowsFor', () => {
  const rowsOn = (provider: Provider, vocabularySize: number, maxBatchTokens = 16_384) =>
    chunkRowsFor({ provider, vocabularySize, maxBatchTokens });

  it('bounds the logits of a chunk', () => {
    assert.equal(rowsOn('CPU', 2048), 512);
    assert.ok(rowsOn('CPU', 256_000) * 256_000 * 4 <= 256 << 20);
    assert.ok(rowsOn('CUDA', 256_000) * 256_000 * 4 <= 1 << 30);
    assert.equal(rowsOn('CPU', 1 << 24), 32);
  });

  it('gives a GPU more rows for larger passes', () => {
    assert.equal(rowsOn('CUDA', 128_256), 2048);
    assert.equal(rowsOn('CUDA', 128_256, 8192), 1024);
    assert.equal(rowsOn('CUDA', 128_256, 512), 512);
  });
});
