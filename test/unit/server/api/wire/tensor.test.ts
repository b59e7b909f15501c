import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toList } from '../../../../../server/api/wire/tensor.ts';

const bytesOf = (values: { buffer: ArrayBufferLike }) => new Uint8Array(values.buffer);
const plain = (list: unknown): unknown =>
  ArrayBuffer.isView(list) ? [...(list as Int32Array)] : (list as unknown[]).map(plain);

describe('toList', () => {
  for (const [type, values] of [
    ['I64', BigInt64Array.of(-1n, 2n, 3n, 4n)],
    ['I32', Int32Array.of(-1, 2, 3, 4)],
    ['I16', Int16Array.of(-1, 2, 3, 4)],
    ['I8', Int8Array.of(-1, 2, 3, 4)],
    ['F32', Float32Array.of(-1, 2, 3, 4)],
    ['F64', Float64Array.of(-1, 2, 3, 4)],
  ] as const) {
    it(`reads ${type} in rows`, () => {
      const list = toList({ name: 'x', type, shape: [2, 2], bytes: bytesOf(values) });

      assert.deepEqual(plain(list), [
        [-1, 2],
        [3, 4],
      ]);
    });
  }

  it('reads bytes that lie anywhere', () => {
    const bytes = new Uint8Array(9);
    bytes.set(bytesOf(Int32Array.of(7, 8)), 1);

    const list = toList({ name: 'x', type: 'I32', shape: [2], bytes: bytes.subarray(1) });

    assert.deepEqual(list, Int32Array.of(7, 8));
  });

  it('keeps integers that are no int32', () => {
    const bytes = bytesOf(BigInt64Array.of(1n, 2n ** 40n));

    assert.deepEqual(
      toList({ name: 'x', type: 'I64', shape: [2], bytes }),
      Float64Array.of(1, 2 ** 40),
    );
  });

  it('has no rows where there is none', () => {
    const bytes = new Uint8Array(0);

    assert.deepEqual(toList({ name: 'x', type: 'I32', shape: [0, 3], bytes }), []);
    assert.deepEqual(toList({ name: 'x', type: 'I32', shape: [0], bytes }), new Int32Array());
  });

  for (const [name, changes] of [
    ['a type that it does not know', { type: 'BF16' }],
    ['the name of a method', { type: 'toString' }],
    ['fewer bytes than its shape takes', { shape: [3] }],
    ['no dimension', { shape: [] }],
    ['a shape past all bounds', { shape: [2 ** 21, 0], bytes: new Uint8Array(0) }],
    ['rows without a number', { shape: [2 ** 20, 0], bytes: new Uint8Array(0) }],
    ['rows of rows without a number', { shape: [2 ** 20, 2 ** 20, 0], bytes: new Uint8Array(0) }],
    [
      'too many rows in rows',
      { type: 'I8', shape: [2 ** 11, 2 ** 10, 1], bytes: new Uint8Array(2 ** 21) },
    ],
  ] as const) {
    it(`refuses ${name}, and names the tensor`, () => {
      const tensor = { name: 'ids', type: 'I32', shape: [2], bytes: new Uint8Array(8), ...changes };

      assert.throws(() => toList(tensor), { code: 'INVALID_REQUEST' });
    });
  }
});
