import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  bytesField,
  concat,
  floatField,
  intField,
  messageField,
  stringField,
  varint,
} from '../../../../server/onnx/protobuf.ts';
import { readMessage } from '../../../support/onnx-reader.ts';

describe('varint', () => {
  it('writes the examples of the specification', () => {
    assert.deepEqual(varint(1), Uint8Array.of(1));
    assert.deepEqual(varint(150), Uint8Array.of(0x96, 0x01));
    assert.equal(varint(-2).length, 10);
  });

  it('refuses what is not an integer', () => {
    assert.throws(() => varint(0.5), RangeError);
  });
});

describe('fields', () => {
  it('are read back as they were written, whatever the value', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.maxSafeInteger(), (field, value) => {
        assert.deepEqual(readMessage(intField(field, value)).get(field), [BigInt(value)]);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), fc.float({ noNaN: true }), (bytes, value) => {
        const message = concat([bytesField(3, bytes), floatField(4, value)]);

        assert.deepEqual(readMessage(message).get(3), [bytes]);
        assert.deepEqual(readMessage(message).get(4), [value]);
      }),
    );
  });

  it('nest', () => {
    const message = messageField(1, stringField(2, 'ü'), intField(3, 7));

    const inner = readMessage(message).get(1)?.[0] as Uint8Array;

    assert.deepEqual(readMessage(inner).get(2), [Uint8Array.of(0xc3, 0xbc)]);
    assert.deepEqual(readMessage(inner).get(3), [7n]);
  });
});
