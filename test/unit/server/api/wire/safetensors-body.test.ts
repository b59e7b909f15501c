import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../../common/errors.ts';
import { readSafetensorsBody } from '../../../../../server/api/wire/safetensors-body.ts';
import { int32Tensor, safetensorsBody } from '../../../../support/binary-bodies.ts';

const good = safetensorsBody([int32Tensor('input_ids', [2, 2], [1, 2, 3, 4])], {
  model: 'rl/tiny',
  top_k: '3',
});

/** `good` with another header. */
function withHeader(text: string): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  return Buffer.concat([length, Buffer.from(text), Buffer.alloc(16)]);
}

describe('readSafetensorsBody', () => {
  it('gives tensors and metadata as fields', () => {
    assert.deepEqual(readSafetensorsBody(good), {
      model: 'rl/tiny',
      top_k: 3,
      input_ids: [Int32Array.of(1, 2), Int32Array.of(3, 4)],
    });
  });

  for (const [name, body] of [
    ['nothing', Buffer.alloc(0)],
    ['less than a length', Buffer.alloc(7)],
    ['a length past the end', good.subarray(0, 20)],
    ['a body that is cut short', good.subarray(0, -1)],
    ['a header that is not JSON', withHeader('{x')],
    ['a header that is no object', withHeader('[1]')],
    ['an entry without a type', withHeader('{"a":{"shape":[1],"data_offsets":[0,4]}}')],
    ['offsets that fall', withHeader('{"a":{"dtype":"I32","shape":[1],"data_offsets":[8,4]}}')],
    ['metadata that is no text', withHeader('{"__metadata__":{"a":1}}')],
  ] as const) {
    it(`refuses ${name}`, () => {
      assert.throws(() => readSafetensorsBody(body), { code: 'MALFORMED_BODY' });
    });
  }

  it('refuses whatever else comes with an error of its own', () => {
    const broken = fc
      .tuple(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }),
        fc.nat(good.length),
      )
      .map(([changes, end]) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        return bytes.subarray(0, end);
      });
    fc.assert(
      fc.property(fc.oneof(broken, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        try {
          readSafetensorsBody(bytes);
        } catch (err) {
          assert.ok(err instanceof AppError && err.status === 400, String(err));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
