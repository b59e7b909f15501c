import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { at } from '../../../../../server/onnx/blocks/scope.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import { scopeOf, weightsOf } from '../../../../support/run-graph.ts';

describe('at', () => {
  it('goes a folder deeper in the same graph and keeps the rest', () => {
    const tape = Tape.start('/model');
    const scope = scopeOf(tape, weightsOf({}));

    const inner = at(scope, 'layers.0');
    inner.tape.op('SequenceEmpty', []);

    assert.equal(inner.weights, scope.weights);
    assert.equal(inner.observe, scope.observe);
    assert.deepEqual(
      tape.finish().nodes.map(({ name }) => name),
      ['/model/layers.0/SequenceEmpty'],
    );
  });
});
