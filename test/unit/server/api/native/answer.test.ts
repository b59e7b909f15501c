import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerColumns } from '../../../../../server/api/native/answer.ts';
import { nothingScored } from '../../../../../server/model/scoring.ts';

const row = (at: number[], length: number, logprobs: number[]) => ({
  asked: { positions: Int32Array.from(at) },
  places: { at: Int32Array.from(at), length },
  values: { ...nothingScored, logprobs: Float32Array.from(logprobs) },
});

describe('answerColumns', () => {
  it('puts values at their places, and the fill between them', () => {
    const rows = [row([1, 3], 4, [-1, -2]), row([0, 1], 2, [-3, -4])];

    const { offsets, positions } = answerColumns(rows, { wants: new Set(['logprobs']), fill: 7 });

    assert.deepEqual([...offsets], [0, 4, 6]);
    assert.deepEqual([...positions[0]!.values], [7, -1, 7, -2, -3, -4]);
  });

  it('has no log-prob above 0, and sums that are none either', () => {
    const wants = new Set(['logprobs', 'sums'] as const);

    const { positions, rows } = answerColumns([row([0, 1], 2, [1e-7, -1])], { wants });

    assert.deepEqual([...positions[0]!.values], [0, -1]);
    assert.deepEqual([...rows[0]!.values], [-1]);
  });

  it('makes tops of rows of different widths equally wide', () => {
    const tops = (k: number) => ({
      ...row([0], 1, [-1]),
      values: {
        ...nothingScored,
        logprobs: Float32Array.of(-1),
        topIds: Int32Array.from({ length: k }, (_, i) => i),
        topLogprobs: new Float32Array(k),
        k,
      },
    });

    const { positions } = answerColumns([tops(1), tops(2)], { wants: new Set(['topk']) });

    assert.deepEqual([...positions[0]!.values], [0, -1, 0, 1]);
    assert.deepEqual([...positions[1]!.values], [0, Number.NaN, 0, 0]);
  });
});
