import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ErrorCode } from '../../../../common/errors.ts';
import { countIds, readRows, toTokens } from '../../../../server/api/rows.ts';

const limits = { vocabularySize: 100, maxSequenceTokens: 8 };
const read = (ids: unknown[], mask?: unknown[]) =>
  toTokens('input_ids', readRows('input_ids', ids, mask), limits).map((row) => Array.from(row));

describe('rows', () => {
  it('are taken as they are without a mask', () => {
    assert.deepEqual(read([[1, 2], [99]]), [[1, 2], [99]]);
  });

  it('lose the padding of either side, whatever ids it has', () => {
    assert.deepEqual(
      read(
        [
          [-1, 1, 2],
          [3, 4, 1e9],
          [5, 6, 7],
        ],
        [
          [0, 1, 1],
          [1, 1, 0],
          [1, 1, 1],
        ],
      ),
      [
        [1, 2],
        [3, 4],
        [5, 6, 7],
      ],
    );
  });

  it('count their tokens without the padding', () => {
    assert.equal(countIds(readRows('input_ids', [[0, 1, 2], [3]], [[0, 1, 1], [1]])), 3);
  });

  const bad: { name: string; ids: unknown[]; mask?: unknown[]; code: ErrorCode; place: RegExp }[] =
    [
      { name: 'no row', ids: [], code: 'EMPTY_BATCH', place: /input_ids/ },
      {
        name: 'a row without tokens',
        ids: [[1], []],
        code: 'EMPTY_BATCH',
        place: /input_ids\[1\]/,
      },
      {
        name: 'a row of padding only',
        ids: [[1]],
        mask: [[0]],
        code: 'EMPTY_BATCH',
        place: /\[0\]/,
      },
      {
        name: 'a row that is no array',
        ids: [[1], 5],
        code: 'INVALID_REQUEST',
        place: /input_ids\[1\]/,
      },
      {
        name: 'an id that is no integer',
        ids: [[1, 2.5]],
        code: 'INVALID_REQUEST',
        place: /\[0\]\[1\]/,
      },
      { name: 'an id that is text', ids: [['1']], code: 'INVALID_REQUEST', place: /\[0\]\[0\]/ },
      {
        name: 'an id past the vocabulary',
        ids: [[1], [2, 100]],
        code: 'TOKEN_OUT_OF_RANGE',
        place: /\[1\]\[1\]: 100 .* 99/,
      },
      { name: 'a negative id', ids: [[-1]], code: 'TOKEN_OUT_OF_RANGE', place: /\[0\]\[0\]: -1/ },
      {
        name: 'an id past 32 bits',
        ids: [[2 ** 40]],
        code: 'TOKEN_OUT_OF_RANGE',
        place: /1099511627776/,
      },
      {
        name: 'a row that is too long',
        ids: [[1], Array(9).fill(1)],
        code: 'SEQUENCE_TOO_LONG',
        place: /\[1\]: 9 .* 8/,
      },
      {
        name: 'a mask with fewer rows',
        ids: [[1], [2]],
        mask: [[1]],
        code: 'INVALID_REQUEST',
        place: /attention_mask/,
      },
      {
        name: 'a mask row of another length',
        ids: [[1, 2]],
        mask: [[1]],
        code: 'INVALID_REQUEST',
        place: /attention_mask\[0\]/,
      },
      {
        name: 'a mask row that is no array',
        ids: [[1]],
        mask: [1],
        code: 'INVALID_REQUEST',
        place: /attention_mask\[0\]/,
      },
      {
        name: 'a mask of other numbers',
        ids: [[1]],
        mask: [[2]],
        code: 'INVALID_REQUEST',
        place: /attention_mask\[0\]/,
      },
      {
        name: 'a mask with a hole',
        ids: [[1], [1, 2, 3]],
        mask: [[1], [1, 0, 1]],
        code: 'INVALID_REQUEST',
        place: /attention_mask\[1\]/,
      },
    ];
  for (const { name, ids, mask, code, place } of bad) {
    it(`refuse ${name} with ${code}, and say where`, () => {
      assert.throws(() => read(ids, mask), { code, message: place });
    });
  }

  it('are the same tokens for any padding', () => {
    const tokens = fc.array(fc.nat(99), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(tokens, fc.nat(5), fc.nat(5), (ids, left, right) => {
        const around = (value: number) => [
          ...Array<number>(left).fill(0),
          ...ids.map((id) => (value === 1 ? 1 : id)),
          ...Array<number>(right).fill(0),
        ];

        assert.deepEqual(read([around(0)], [around(1)]), [ids]);
      }),
    );
  });
});
