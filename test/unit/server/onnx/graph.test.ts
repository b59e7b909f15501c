import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { float32Tensor, int32Tensor, int64Tensor } from '../../../../server/onnx/graph.ts';

describe('tensors', () => {
  it('carry little-endian bytes of their type', () => {
    assert.deepEqual(int32Tensor([-2], [1]).data, Uint8Array.of(254, 255, 255, 255));
    assert.deepEqual(int64Tensor([258], [1]).data, Uint8Array.of(2, 1, 0, 0, 0, 0, 0, 0));
    assert.deepEqual(float32Tensor(Float32Array.of(1), [1]).data, Uint8Array.of(0, 0, 128, 63));
  });

  it('of a view hold the bytes of the view alone', () => {
    const view = Float32Array.of(0, 1, 0).subarray(1, 2);

    assert.deepEqual(float32Tensor(view, [1]).data, Uint8Array.of(0, 0, 128, 63));
  });
});
