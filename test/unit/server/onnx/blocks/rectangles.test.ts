import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  kernelAttributes,
  rectangleInputs,
  rectanglesLayout,
} from '../../../../../server/onnx/blocks/rectangles.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';

describe('rectanglesLayout', () => {
  it('asks for the rectangles of a batch', () => {
    const tape = Tape.start('/m');

    const layout = rectanglesLayout(tape);

    assert.equal(layout.kind, 'Rectangles');
    assert.deepEqual(tape.finish().inputs, Object.values(rectangleInputs));
  });
});

describe('kernelAttributes', () => {
  const linear = { name: 'l', rows: 8, columns: 8 };
  const layer = {
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    qkv: { kind: 'Fused', qkv: linear },
    output: linear,
  } as const;

  it('scales by the root of the head size unless the model says otherwise', () => {
    assert.deepEqual(kernelAttributes(layer)['scale'], { float: 0.25 });
    assert.deepEqual(kernelAttributes({ ...layer, scale: 2 })['scale'], { float: 2 });
  });

  it('has a window and a soft cap where the model has', () => {
    assert.deepEqual(Object.keys(kernelAttributes(layer)), ['num_heads', 'kv_num_heads', 'scale']);
    const { local_window_size: window, softcap } = kernelAttributes({
      ...layer,
      window: 7,
      softcap: 50,
    });
    assert.deepEqual([window, softcap], [{ int: 7 }, { float: 50 }]);
  });
});
