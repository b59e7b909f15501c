import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoredTensor } from '../../../../server/model/safetensors.ts';
import { countParameters, requireTensors } from '../../../../server/model/tensors.ts';
import type { TensorSpec } from '../../../../server/onnx/arch/blueprint.ts';

const spec: TensorSpec = { name: 'w', shape: [2, 3], role: 'Matrix' };
const stored: StoredTensor = { type: 'F16', shape: [2, 3], file: '/f', offset: 8, length: 12 };

describe('requireTensors', () => {
  it('gives type, shape and place of what is asked', () => {
    const tensors = requireTensors(
      [spec],
      new Map([
        ['w', stored],
        ['more', stored],
      ]),
    );

    const data = { file: '/f', offset: 8, length: 12 };
    assert.deepEqual([...tensors], [['w', { type: 'float16', shape: [2, 3], data }]]);
  });

  it('says TENSOR_MISSING naming the tensor', () => {
    assert.throws(() => requireTensors([spec], new Map()), {
      code: 'TENSOR_MISSING',
      message: /"w"/,
    });
  });

  const wrong = [
    { name: 'another shape', change: { shape: [3, 2] } },
    { name: 'a type that is no float', change: { type: 'I8' as const } },
  ];
  for (const { name, change } of wrong) {
    it(`says WEIGHTS_CORRUPT naming the tensor for ${name}`, () => {
      const found = new Map([['w', { ...stored, ...change }]]);

      assert.throws(() => requireTensors([spec], found), {
        code: 'WEIGHTS_CORRUPT',
        message: /"w"/,
      });
    });
  }
});

describe('countParameters', () => {
  it('counts a tensor with two roles once', () => {
    const tied: TensorSpec[] = [spec, { ...spec, role: 'Table' }];

    assert.equal(countParameters(requireTensors(tied, new Map([['w', stored]]))), 6);
  });
});
