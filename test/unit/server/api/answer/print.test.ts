import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { printRows } from '../../../../../server/api/answer/print.ts';

const offsets = Int32Array.of(0, 2, 2, 3);

describe('printRows', () => {
  it('prints rows of values, null where there is none', () => {
    const values = Float32Array.of(NaN, -0.1, -2);

    assert.equal(printRows({ kind: 'LogProb', values, offsets }), '[null,-0.1],[],[-2]');
  });

  it('prints rows of lists, null where a list has nothing', () => {
    const values = Int32Array.of(-1, -1, 5, -1, 7, 8);

    assert.equal(
      printRows({ kind: 'Id', values, width: 2, offsets }),
      '[null,[5,null]],[],[[7,8]]',
    );
  });

  it('prints a value or a list per row where there are no positions', () => {
    const values = Float32Array.of(0.5, 1, 1.5, 2);

    assert.equal(printRows({ kind: 'Number', values }), '0.5,1,1.5,2');
    assert.equal(printRows({ kind: 'Number', values, width: 2 }), '[0.5,1],[1.5,2]');
    assert.equal(printRows({ kind: 'Number', values: Float64Array.of(0.1, NaN) }), '0.1,null');
  });

  it('caps log-probs at 0 and gives -9999 for one without a probability', () => {
    const values = Float32Array.of(1, -Infinity);

    assert.equal(printRows({ kind: 'LogProb', values }), '0,-9999.0');
  });
});
