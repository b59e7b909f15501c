import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { perPlace, perRow, readSequences } from '../../../../../server/api/native/sequences.ts';

const idsOf = (fields: Parameters<typeof readSequences>[0]) =>
  readSequences(fields).rows.map(({ ids, start, end }) => Array.from(ids).slice(start, end));
const rows = [[1, 2, 3], [4]];

describe('readSequences', () => {
  it('gives the same rows whichever way they come', () => {
    const packed = { input_ids: Int32Array.of(1, 2, 3, 4), cu_seqlens: [0, 3, 4] };
    const padded = {
      input_ids: [
        [1, 2, 3, 0],
        [0, 0, 0, 4],
      ],
      attention_mask: [
        [1, 1, 1, 0],
        [0, 0, 0, 1],
      ],
    };
    const groups = {
      groups: [
        { prefix: [1, 2], suffixes: [[3]] },
        { prefix: [], suffixes: [[4]] },
      ],
    };

    for (const fields of [{ input_ids: rows }, packed, padded, groups]) {
      assert.deepEqual(idsOf(fields), rows);
    }
    assert.equal(readSequences(padded).paddedTokens, 4);
    assert.deepEqual(readSequences(groups).starts, [2, 0]);
  });

  it('joins packed ids of a group without unpacking them', () => {
    const group = { prefix: Int32Array.of(1, 2), suffixes: [Int32Array.of(3)] };

    assert.ok(readSequences({ groups: [group] }).rows[0]!.ids instanceof Int32Array);
  });

  const bad: [string, Parameters<typeof readSequences>[0], string][] = [
    ['none', {}, 'INVALID_REQUEST'],
    ['two of them', { input_ids: rows, groups: [] }, 'INVALID_REQUEST'],
    ['no group', { groups: [] }, 'EMPTY_BATCH'],
    ['bounds of no row', { input_ids: [], cu_seqlens: [0] }, 'EMPTY_BATCH'],
    ['an empty row', { input_ids: [1], cu_seqlens: [0, 0, 1] }, 'EMPTY_BATCH'],
    ['bounds that fall', { input_ids: [1, 2], cu_seqlens: [0, 3, 2] }, 'INVALID_REQUEST'],
    ['bounds past the end', { input_ids: [1, 2], cu_seqlens: [0, 3] }, 'INVALID_REQUEST'],
    ['bounds between two', { input_ids: [1, 2], cu_seqlens: [0, 0.5, 2] }, 'INVALID_REQUEST'],
    [
      'bounds that are no numbers',
      { input_ids: [1, 2], cu_seqlens: [0, 'x', 2] },
      'INVALID_REQUEST',
    ],
  ];
  for (const [name, fields, code] of bad) {
    it(`refuses ${name}`, () => {
      assert.throws(() => readSequences(fields), { code });
    });
  }
});

describe('perPlace', () => {
  it('cuts what came flat, and checks what came in rows', () => {
    const lengths = [2, 1];

    const cut = perPlace('x', Int32Array.of(7, 8, 9), { lengths, isPacked: true });

    assert.deepEqual(
      cut.map((list) => [...list]),
      [[7, 8], [9]],
    );
    assert.deepEqual(perPlace('x', [[7, 8], [9]], { lengths, isPacked: false }), [[7, 8], [9]]);
    assert.throws(() => perPlace('x', [[7], [9]], { lengths, isPacked: false }), {
      message: /x\[0\]/,
    });
    assert.throws(() => perPlace('x', [[7]], { lengths, isPacked: false }), { message: /x/ });
    assert.throws(() => perPlace('x', [7], { lengths, isPacked: true }), { message: /3 values/ });
  });
});

describe('perRow', () => {
  it('repeats a single value', () => {
    assert.deepEqual(perRow('x', 3, 2), [3, 3]);
    assert.deepEqual(perRow('x', Float32Array.of(1, 2), 2), [1, 2]);
    assert.throws(() => perRow('x', [1], 2), { code: 'INVALID_REQUEST' });
  });
});
