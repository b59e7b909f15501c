import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { convertedTensors } from '../../../../server/model/artifact.ts';
import type { FileRange } from '../../../../server/onnx/graph.ts';
import { quantizeInt8 } from '../../../../server/quant/int8.ts';
import { neverAborted } from '../../../support/engine-kit.ts';
import { noise } from '../../../support/run-graph.ts';
import { type TemporaryFolder, temporaryFolder } from '../../../support/temporary-folder.ts';

const [rows, columns] = [7, 50];
const weights = noise(rows * columns, 3);

/** Converts one float32 matrix that lies at offset 5 of a file. */
function convert(folder: TemporaryFolder, digest = 'sha256:a', signal = neverAborted) {
  const file = path.join(folder.path, 'source');
  writeFileSync(file, Buffer.concat([Buffer.alloc(5), new Uint8Array(weights.buffer)]));
  const data = { file, offset: 5, length: weights.byteLength };
  const matrices = new Map([['w', { type: 'float32', shape: [rows, columns], data } as const]]);
  return convertedTensors({ cacheDir: folder.path, digest, matrices }, signal);
}

const artifacts = (folder: TemporaryFolder) =>
  readdirSync(path.join(folder.path, 'converted')).map((n) =>
    path.join(folder.path, 'converted', n),
  );
const bytesAt = ({ file, offset, length }: FileRange) =>
  new Uint8Array(readFileSync(file).subarray(offset, offset + length));

describe('convertedTensors', () => {
  it('writes codes and scales of every matrix', async () => {
    using folder = temporaryFolder();

    const blocks = (await convert(folder)).get('w');

    const expected = quantizeInt8(weights, columns);
    assert.ok(blocks);
    assert.deepEqual(blocks.codes.shape, [rows, 2, 32]);
    assert.deepEqual(bytesAt(blocks.codes.data), expected.codes);
    assert.deepEqual(bytesAt(blocks.scales.data), new Uint8Array(expected.scales.buffer));
  });

  it('uses the file again for the same source, and makes another for another', async () => {
    using folder = temporaryFolder();
    await convert(folder);
    const [file] = artifacts(folder);
    const writtenAt = statSync(file!, { bigint: true }).mtimeNs;

    await convert(folder);
    await convert(folder, 'sha256:b');

    assert.equal(statSync(file!, { bigint: true }).mtimeNs, writtenAt);
    assert.equal(artifacts(folder).length, 2);
  });

  const damages = [
    { name: 'cut short', damage: (file: string) => truncateSync(file, 100) },
    { name: 'empty', damage: (file: string) => truncateSync(file, 0) },
    {
      name: 'overwritten at its head',
      damage: (file: string) => {
        const bytes = readFileSync(file);
        bytes[20] = 0;
        writeFileSync(file, bytes);
      },
    },
  ];
  for (const { name, damage } of damages) {
    it(`makes the file again when it is ${name}`, async () => {
      using folder = temporaryFolder();
      await convert(folder);
      const [file] = artifacts(folder);
      const whole = readFileSync(file!);
      damage(file!);

      await convert(folder);

      assert.deepEqual(readFileSync(file!), whole);
    });
  }

  it('may run several times at once for the same source', async () => {
    using folder = temporaryFolder();

    const all = await Promise.all([convert(folder), convert(folder), convert(folder)]);

    assert.equal(artifacts(folder).length, 1);
    for (const tensors of all) {
      assert.deepEqual(bytesAt(tensors.get('w')!.codes.data), quantizeInt8(weights, columns).codes);
    }
  });

  it('leaves nothing behind when it is given up', async () => {
    using folder = temporaryFolder();
    const reason = new Error('given up');

    await assert.rejects(convert(folder, 'sha256:a', AbortSignal.abort(reason)), reason);

    assert.deepEqual(artifacts(folder), []);
  });
});
