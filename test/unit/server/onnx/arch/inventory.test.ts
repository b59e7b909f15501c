import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inventory } from '../../../../../server/onnx/arch/inventory.ts';

const shape = { rows: 3, columns: 2 };

describe('inventory', () => {
  it('notes what is asked for, as it is stored, in the order of asking', () => {
    const specs = inventory((weights) => {
      weights.table('t', shape);
      weights.vector('v', 4);
      weights.matrix('m', { ...shape, isExact: true });
      weights.matrix('turned', { ...shape, isTransposed: true });
    });

    assert.deepEqual(
      specs.map(({ name, shape, role }) => ({ name, shape, role })),
      [
        { name: 't', shape: [3, 2], role: 'Table' },
        { name: 'v', shape: [4], role: 'Vector' },
        { name: 'm', shape: [3, 2], role: 'Matrix' },
        { name: 'turned', shape: [2, 3], role: 'Matrix' },
      ],
    );
    assert.deepEqual(
      specs.map(({ isExact, isTransposed }) => [isExact, isTransposed]),
      [
        [undefined, undefined],
        [undefined, undefined],
        [true, undefined],
        [undefined, true],
      ],
    );
  });

  it('names a tensor once for each of its roles', () => {
    const specs = inventory((weights) => {
      weights.table('tied', shape);
      weights.matrix('tied', shape);
      weights.matrix('tied', shape);
    });

    assert.deepEqual(
      specs.map(({ role }) => role),
      ['Table', 'Matrix'],
    );
  });

  it('tells the other names that a checkpoint may have for a tensor', () => {
    const [first, second] = inventory((weights) => {
      weights.vector('transformer.ln_f.weight', 2);
      weights.vector('score.weight', 2);
    });

    assert.deepEqual(first?.aliases, ['ln_f.weight']);
    assert.equal(second?.aliases, undefined);
  });
});
