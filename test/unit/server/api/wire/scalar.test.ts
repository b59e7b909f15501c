import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { scalarField } from '../../../../../server/api/wire/scalar.ts';

describe('scalarField', () => {
  it('takes names as they are, and everything else as JSON', () => {
    assert.equal(scalarField('model', '5'), '5');
    assert.equal(scalarField('align', 'source'), 'source');
    assert.equal(scalarField('top_k', '5'), 5);
    assert.deepEqual(scalarField('outputs', '["sums"]'), ['sums']);
    assert.throws(() => scalarField('outputs', 'sums'), {
      code: 'MALFORMED_BODY',
      message: /outputs/,
    });
  });
});
