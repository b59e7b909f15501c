import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../../common/errors.ts';
import { headerLengthHeader, readOipBody } from '../../../../../server/api/wire/oip-body.ts';
import { int32Tensor, oipBody } from '../../../../support/binary-bodies.ts';

const good = oipBody([int32Tensor('input_ids', [2, 2], [1, 2, 3, 4])], {
  model: 'rl/tiny',
  top_k: 3,
  binary_data_output: true,
});
const length = good.headers[headerLengthHeader];
const text = (header: object) => Buffer.from(JSON.stringify(header));
const json = (header: object) => readOipBody(text(header), String(text(header).length));

describe('readOipBody', () => {
  it('gives inputs and parameters as fields', () => {
    assert.deepEqual(readOipBody(good.body, length), {
      model: 'rl/tiny',
      top_k: 3,
      input_ids: [Int32Array.of(1, 2), Int32Array.of(3, 4)],
    });
  });

  it('reads inputs in the header too, flat or nested, and the id', () => {
    const input = { name: 'input_ids', datatype: 'INT64', shape: [2, 2] };

    const flat = json({ id: 'a', inputs: [{ ...input, data: [1, 2, 3, 4] }] });

    assert.deepEqual(flat, {
      request_id: 'a',
      input_ids: [
        [1, 2],
        [3, 4],
      ],
    });
    assert.deepEqual(
      json({
        inputs: [
          {
            ...input,
            data: [
              [1, 2],
              [3, 4],
            ],
          },
        ],
      })['input_ids'],
      flat['input_ids'],
    );
  });

  for (const [name, body, header] of [
    ['no header length', good.body, ''],
    ['a header length that is no number', good.body, '-4'],
    ['a header length past the end', good.body, '99999'],
    ['a header that is cut', good.body, '10'],
    ['a body that is cut', good.body.subarray(0, -1), length],
    ['bytes that no input has', Buffer.concat([good.body, Buffer.alloc(1)]), length],
    ['a header without inputs', text({ id: 'a' }), String(text({ id: 'a' }).length)],
  ] as const) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => readOipBody(body, header),
        (err: AppError) => err.status === 400,
      );
    });
  }

  it('refuses an input without data, and one with other data than its shape', () => {
    const input = { name: 'x', datatype: 'INT32', shape: [2, 2] };

    assert.throws(() => json({ inputs: [input] }), { message: /"x"/ });
    assert.throws(() => json({ inputs: [{ ...input, data: [1] }] }), { message: /"x"/ });
  });

  it('refuses whatever else comes with an error of its own', () => {
    const changes = fc.array(fc.tuple(fc.nat(good.body.length - 1), fc.nat(255)), { maxLength: 8 });
    fc.assert(
      fc.property(
        changes,
        fc.nat(good.body.length),
        fc.nat(good.body.length),
        (list, end, header) => {
          const bytes = Buffer.from(good.body);
          for (const [at, value] of list) bytes[at] = value;
          try {
            readOipBody(bytes.subarray(0, end), list.length % 2 ? length : String(header));
          } catch (err) {
            assert.ok(err instanceof AppError && err.status === 400, String(err));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
