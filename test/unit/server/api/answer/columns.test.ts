import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { countValues, widthOf } from '../../../../../server/api/answer/columns.ts';

describe('columns', () => {
  it('count all their values', () => {
    const column = { name: 'a', kind: 'Id', values: new Int32Array(6), width: 3 } as const;
    const answer = { offsets: new Int32Array(3), positions: [column], rows: [column], rest: {} };

    assert.equal(countValues(answer), 12);
    assert.deepEqual([widthOf(column), widthOf({})], [3, 1]);
  });
});
