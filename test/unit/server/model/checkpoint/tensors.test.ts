import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoredTensor } from '../../../../../server/model/checkpoint/safetensors.ts';
import {
  countParameters,
  requireTensors,
  storedBytes,
} from '../../../../../server/model/checkpoint/tensors.ts';
import type { TensorSpec } from '../../../../../server/onnx/arch/inventory.ts';

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

  it('finds a tensor under the first of its names that is there', () => {
    const named = { ...spec, aliases: ['b', 'c'] };
    const other = { ...stored, offset: 100 };
    const offsetIn = (names: Record<string, StoredTensor>) =>
      requireTensors([named], new Map(Object.entries(names))).get('w')?.data.offset;

    assert.equal(offsetIn({ c: stored, b: other }), 100);
    assert.equal(offsetIn({ b: other, w: stored }), 8);
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

    assert.equal(countParameters(tied), 6);
  });
});

describe('storedBytes', () => {
  it('is what stands in the files', () => {
    assert.equal(storedBytes(requireTensors([spec], new Map([['w', stored]]))), 12);
  });
});
