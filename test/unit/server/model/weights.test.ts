import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelWeights, weightBytes } from '../../../../server/model/weights.ts';
import type { TensorSpec } from '../../../../server/onnx/arch/blueprint.ts';

const data = (length: number) => ({ file: '/f', offset: 0, length });
const tensors = new Map([
  ['w', { type: 'bfloat16', shape: [2, 40], data: data(160) } as const],
  ['n', { type: 'bfloat16', shape: [40], data: data(80) } as const],
]);
const converted = new Map([
  [
    'w',
    {
      codes: { type: 'uint8', shape: [2, 2, 32], data: data(128) },
      scales: { type: 'float32', shape: [2, 2], data: data(16) },
    } as const,
  ],
]);
const specs: TensorSpec[] = [
  { name: 'w', shape: [2, 40], role: 'Table' },
  { name: 'n', shape: [40], role: 'Vector' },
  { name: 'w', shape: [2, 40], role: 'Matrix' },
];

describe('modelWeights', () => {
  it('takes a matrix from where it was converted to, a table from the checkpoint', () => {
    const weights = modelWeights(tensors, converted);

    const matrix = weights.matrix('w');
    assert.ok(matrix.format === 'Int8');
    assert.deepEqual([matrix.rows, matrix.columns, matrix.blockSize], [2, 40, 32]);
    assert.equal(weights.table('w').type, 'bfloat16');
    assert.equal(modelWeights(tensors, new Map()).matrix('w').format, 'Float');
  });

  it('refuses a name that no spec has', () => {
    assert.throws(() => modelWeights(tensors, converted).vector('x'), { code: 'INTERNAL' });
  });
});

describe('weightBytes', () => {
  it('counts tables as stored, vectors as float32, matrices as converted', () => {
    assert.equal(weightBytes(specs, tensors, converted), 160 + 160 + 144);
  });

  it('counts matrices that are not converted as float32', () => {
    assert.equal(weightBytes(specs, tensors, new Map()), 160 + 160 + 320);
  });
});
