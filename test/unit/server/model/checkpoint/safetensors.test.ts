import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { layOut, readSafetensors } from '../../../../../server/model/checkpoint/safetensors.ts';
import { goldenRoot, neverAborted } from '../../../../support/engine-kit.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

/** A file with `header` before `dataBytes` bytes of data. */
function fileOf(header: unknown, dataBytes: number): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

const tensor = (from: number, to: number, changes: object = {}) => ({
  dtype: 'F32',
  shape: [(to - from) / 4],
  data_offsets: [from, to],
  ...changes,
});

async function read(content: Uint8Array) {
  using folder = temporaryFolder();
  const file = path.join(folder.path, 'model.safetensors');
  writeFileSync(file, content);
  return await readSafetensors(file, neverAborted);
}

describe('readSafetensors', () => {
  it('finds every tensor of a real file where it lies', async () => {
    const file = path.join(goldenRoot, 'llama/model.safetensors');

    const tensors = await readSafetensors(file, neverAborted);

    const norm = tensors.get('model.norm.weight');
    assert.deepEqual(norm?.shape, [64]);
    assert.equal(norm?.type, 'BF16');
    const ends = [...tensors.values()].map(({ offset, length }) => offset + length);
    assert.equal(Math.max(...ends), readFileSync(file).length);
  });

  it('accepts metadata, tensors in any order and empty tensors', async () => {
    const header = {
      __metadata__: { a: 'b' },
      y: tensor(4, 8),
      none: tensor(4, 4),
      x: tensor(0, 4),
    };

    const tensors = await read(fileOf(header, 8));

    assert.deepEqual([...tensors.keys()].sort(), ['none', 'x', 'y']);
  });

  const good = { x: tensor(0, 4), y: tensor(4, 8) };
  const twice =
    '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
  const broken = [
    { name: 'an empty file', content: Buffer.alloc(0) },
    { name: 'a file of seven bytes', content: Buffer.alloc(7) },
    { name: 'a header that is longer than the file', content: fileOf(good, 8).subarray(0, 30) },
    { name: 'a header of more than 100 MB', content: Buffer.from('ffffffffffffff7f7b7d', 'hex') },
    { name: 'a header that is not JSON', content: fileOf('{"x":', 8) },
    { name: 'a header that is not an object', content: fileOf('[1]', 8) },
    { name: 'an entry that is not an object', content: fileOf({ x: 1 }, 8) },
    { name: 'data cut short', content: fileOf(good, 7) },
    { name: 'bytes after the last tensor', content: fileOf(good, 9) },
    { name: 'tensors that overlap', content: fileOf({ x: tensor(0, 8), y: tensor(4, 8) }, 8) },
    { name: 'a gap', content: fileOf({ x: tensor(0, 4), y: tensor(8, 12) }, 12) },
    { name: 'a range that runs backwards', content: fileOf({ x: tensor(4, 0) }, 4) },
    { name: 'a shape of another size', content: fileOf({ x: tensor(0, 4, { shape: [2] }) }, 4) },
    { name: 'a negative shape', content: fileOf({ x: tensor(0, 4, { shape: [-1] }) }, 4) },
    { name: 'an unknown type', content: fileOf({ x: tensor(0, 4, { dtype: 'X9' }) }, 4) },
    {
      name: 'a type named like a method',
      content: fileOf({ x: tensor(0, 4, { dtype: 'valueOf' }) }, 4),
    },
    { name: 'a tensor named twice', content: fileOf(twice, 4) },
  ];
  for (const { name, content } of broken) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(read(content), { code: 'WEIGHTS_CORRUPT' });
    });
  }

  it('refuses any truncation of a real file', async () => {
    const whole = readFileSync(path.join(goldenRoot, 'llama/model.safetensors'));
    const cut = fc.integer({ min: 0, max: whole.length - 1 });

    await fc.assert(
      fc.asyncProperty(cut, async (length) => {
        await assert.rejects(read(whole.subarray(0, length)), { code: 'WEIGHTS_CORRUPT' });
      }),
      { numRuns: 30 },
    );
  });
});

describe('layOut', () => {
  it('gives a header that reads back as it was laid out', async () => {
    const layout = layOut(
      '',
      [
        { name: 'a', type: 'U8', shape: [3, 5] },
        { name: 'b', type: 'F32', shape: [2] },
      ],
      { note: 'ü' },
    );
    const content = Buffer.concat([
      layout.header,
      Buffer.alloc(layout.size - layout.header.length),
    ]);

    const tensors = await read(content);

    assert.equal(layout.header.length % 64, 0);
    for (const [name, { offset, length, shape }] of layout.tensors) {
      const found = tensors.get(name);
      assert.deepEqual([found?.offset, found?.length, found?.shape], [offset, length, shape]);
    }
  });
});
