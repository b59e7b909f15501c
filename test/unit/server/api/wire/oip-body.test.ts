import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../../common/errors.ts';
import { readOipBody } from '../../../../../server/api/wire/oip-body.ts';
import { headerLengthHeader } from '../../../../../server/contract.ts';
import { int32Tensor, oipBody } from '../../../../support/binary-bodies.ts';

const good = oipBody([int32Tensor('input_ids', [2, 2], [1, 2, 3, 4])], {
  model: 'rl/tiny',
  top_k: 3,
  binary_data_output: true,
});
const length = good.headers[headerLengthHeader];
const text = (header: object) => Buffer.from(JSON.stringify(header));
const parse = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());
const read = (body: Uint8Array, header: string) => readOipBody(body, header, parse);
const json = (header: object) => read(text(header), String(text(header).length));

describe('readOipBody', () => {
  it('gives inputs and parameters as fields', async () => {
    assert.deepEqual(await read(good.body, length), {
      model: 'rl/tiny',
      top_k: 3,
      input_ids: [Int32Array.of(1, 2), Int32Array.of(3, 4)],
    });
  });

  it('reads inputs in the header too, flat or nested, and the id', async () => {
    const input = { name: 'input_ids', datatype: 'INT64', shape: [2, 2] };

    const flat = await json({ id: 'a', inputs: [{ ...input, data: [1, 2, 3, 4] }] });

    assert.deepEqual(flat, {
      request_id: 'a',
      input_ids: [
        [1, 2],
        [3, 4],
      ],
    });
    assert.deepEqual(
      await json({
        id: 'a',
        inputs: [
          {
            ...input,
            data: [
              [1, 2],
              [3, 4],
            ],
          },
        ],
      }),
      flat,
    );
  });

  it('reads lists that a thread has packed, and binary texts', async () => {
    const header = (size: number) => {
      const parameters = { binary_data_size: size };
      const ids = { name: 'input_ids', datatype: 'INT64', shape: [2, 2] };
      return {
        inputs: [
          { ...ids, data: Int32Array.of(1, 2, 3, 4) },
          { name: 'sentences', datatype: 'BYTES', shape: [2, 1], parameters },
        ],
      };
    };
    const utf8 = Buffer.concat([Buffer.from([3, 0, 0, 0]), Buffer.from('hé'), Buffer.alloc(4)]);
    const ask = (bytes: Buffer) =>
      readOipBody(Buffer.concat([Buffer.from('{}'), bytes]), '2', () => header(bytes.length));

    assert.deepEqual(await ask(utf8), {
      input_ids: [Int32Array.of(1, 2), Int32Array.of(3, 4)],
      sentences: ['hé', ''],
    });
    for (const cut of [1, 5]) {
      await assert.rejects(ask(utf8.subarray(0, -cut)), { code: 'MALFORMED_BODY' });
    }
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
    it(`refuses ${name}`, async () => {
      await assert.rejects(read(body, header), (err: AppError) => err.status === 400);
    });
  }

  it('refuses an input without data, and one with other data than its shape', async () => {
    const input = { name: 'x', datatype: 'INT32', shape: [2, 2] };

    await assert.rejects(json({ inputs: [input] }), { message: /"x"/ });
    await assert.rejects(json({ inputs: [{ ...input, data: [1] }] }), { message: /"x"/ });
    const empty = { ...input, shape: [2 ** 40, 0], data: [] };
    await assert.rejects(json({ inputs: [empty] }), { message: /"x"/ });
  });

  it('refuses whatever else comes with an error of its own', async () => {
    const changes = fc.array(fc.tuple(fc.nat(good.body.length - 1), fc.nat(255)), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        changes,
        fc.nat(good.body.length),
        fc.nat(good.body.length),
        async (list, end, header) => {
          const bytes = Buffer.from(good.body);
          for (const [at, value] of list) bytes[at] = value;
          try {
            await read(bytes.subarray(0, end), list.length % 2 ? length : String(header));
          } catch (err) {
            assert.ok(err instanceof AppError && err.status === 400, String(err));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
