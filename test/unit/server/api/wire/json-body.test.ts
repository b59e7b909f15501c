import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { packNumbers, parseJson } from '../../../../../server/api/wire/json-body.ts';

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i - 3);

/** Packed lists as arrays again. */
function unpacked(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Array.from(value as Int32Array);
  if (Array.isArray(value)) return value.map(unpacked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unpacked(item)]));
}

describe('parseJson', () => {
  const bytes = (text: string) => Buffer.from(text);

  it('reads whatever JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const text = JSON.stringify(value);
        assert.deepEqual(parseJson(bytes(text)), JSON.parse(text));
      }),
    );
  });

  it('reads many brackets beside one another, and those in texts', () => {
    const beside = `[${Array.from({ length: 1000 }, () => '[{}]').join()}]`;
    const inText = JSON.stringify(['['.repeat(1000), '\\"[{'.repeat(1000), '\\']);

    for (const text of [beside, inText]) {
      assert.deepEqual(parseJson(bytes(text)), JSON.parse(text));
    }
  });

  it('refuses what is nested so deep that nobody could walk over it', () => {
    for (const depth of [200, 500_000]) {
      const text = '['.repeat(depth) + ']'.repeat(depth);
      assert.throws(() => parseJson(bytes(text)), SyntaxError);
    }
    assert.throws(() => parseJson(bytes('{"a":['.repeat(200))), SyntaxError);
  });
});

describe('packNumbers', () => {
  it('puts long lists of integers into one buffer, those of other numbers into another', () => {
    const body = {
      a: [numbers(20), numbers(30)],
      b: { c: numbers(16).map((n) => n / 2) },
      d: [1, 2],
    };

    const { value, buffers } = packNumbers(structuredClone(body));

    const { a, b, d } = value as { a: Int32Array[]; b: { c: Float64Array }; d: number[] };
    assert.ok(a[0] instanceof Int32Array && b.c instanceof Float64Array, 'they are packed');
    assert.ok(Array.isArray(d), 'a short list stays');
    assert.deepEqual(unpacked(value), body);
    assert.deepEqual(
      buffers.map(({ byteLength }) => byteLength),
      [200, 128],
    );
  });

  it('changes no value, whatever the body is', () => {
    const long = fc.array(fc.oneof(fc.integer(), fc.double({ noNaN: true })), {
      minLength: 16,
      maxLength: 20,
    });
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.array(fc.array(long))), (body) => {
        const text = JSON.stringify(body);

        const { value } = packNumbers(parseJson(Buffer.from(text)));

        assert.deepEqual(JSON.stringify(unpacked(value)), JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  it('packs a list that is the whole body', () => {
    assert.ok(packNumbers(numbers(20)).value instanceof Int32Array);
  });

  it('leaves what is not JSON to the parser', () => {
    assert.throws(() => parseJson(Buffer.from('{')), SyntaxError);
  });
});
