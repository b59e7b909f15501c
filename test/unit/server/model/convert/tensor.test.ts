import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { artifactOf, layOutArtifact } from '../../../../../server/model/convert/artifact.ts';
import type { PlannedTensor } from '../../../../../server/model/convert/plan.ts';
import { openQuantizer } from '../../../../../server/model/convert/quantizer.ts';
import { convertTensor } from '../../../../../server/model/convert/tensor.ts';
import type { FileRange } from '../../../../../server/onnx/graph.ts';
import { neverAborted } from '../../../../support/engine-kit.ts';
import { noise } from '../../../../support/run-graph.ts';
import { type TemporaryFolder, temporaryFolder } from '../../../../support/temporary-folder.ts';

const [rows, columns] = [7, 50];
const weights = noise(rows * columns, 3);

interface Converted {
  readonly meter: number;
  readonly bytesOf: (range: FileRange) => Uint8Array;
  readonly placed: NonNullable<ReturnType<ReturnType<typeof artifactOf>['tensors']['get']>>;
}

/** One float32 matrix that lies at offset 5 of a file. */
async function convert(
  folder: TemporaryFolder,
  change: Partial<PlannedTensor>,
  signal = neverAborted,
): Promise<Converted> {
  const source = path.join(folder.path, 'source');
  writeFileSync(source, Buffer.concat([Buffer.alloc(5), new Uint8Array(weights.buffer)]));
  const data = { file: source, offset: 5, length: weights.byteLength };
  const tensor: PlannedTensor = {
    name: 'w',
    format: 'Int8',
    source: { type: 'float32', shape: [rows, columns], data },
    rows,
    columns,
    isTransposed: false,
    ...change,
  };
  const file = path.join(folder.path, 'converted');
  const layout = layOutArtifact(file, [tensor], {});
  const { shape } = tensor.source;
  const { isTransposed } = tensor;
  const specs = [{ name: 'w', shape, role: 'Matrix', isTransposed } as const];
  const placed = artifactOf(layout.tensors, specs).tensors.get('w')!;
  let meter = 0;
  await using handle = {
    file: await open(file, 'w+'),
    [Symbol.asyncDispose]: () => handle.file.close(),
  };
  await handle.file.truncate(layout.size);
  const add = (bytes: number) => void (meter += bytes);
  await using quantizer = openQuantizer(1);
  const tools = { quantizer, meter: { add } };
  await convertTensor(handle.file, { tensor, placed }, tools, signal);
  const bytesOf = ({ offset, length }: FileRange) =>
    new Uint8Array(readFileSync(file).subarray(offset, offset + length));
  return { meter, bytesOf, placed };
}

describe('convertTensor', () => {
  it('copies what stays as it is, and counts its bytes', async () => {
    using folder = temporaryFolder();

    const { placed, bytesOf, meter } = await convert(folder, { format: 'AsIs' });

    assert.ok(placed.format === 'AsIs', 'it is converted');
    assert.deepEqual(bytesOf(placed.whole.data), new Uint8Array(weights.buffer));
    assert.equal(meter, weights.byteLength);
  });

  it('turns a matrix that is stored the other way round', async () => {
    using folder = temporaryFolder();
    const turned = new Float32Array(weights.length);
    weights.forEach((value, i) => {
      turned[(i % columns) * rows + Math.floor(i / columns)] = value;
    });
    const straight = await convert(folder, {});
    using other = temporaryFolder();
    const file = path.join(other.path, 'turned');
    writeFileSync(file, new Uint8Array(turned.buffer));
    const data = { file, offset: 0, length: turned.byteLength };

    const found = await convert(other, {
      source: { type: 'float32', shape: [columns, rows], data },
      isTransposed: true,
    });

    assert.ok(straight.placed.format === 'Int8' && found.placed.format === 'Int8', 'not Int8');
    assert.deepEqual(
      found.bytesOf(found.placed.codes.data),
      straight.bytesOf(straight.placed.codes.data),
    );
    assert.deepEqual(
      found.bytesOf(found.placed.scales.data),
      straight.bytesOf(straight.placed.scales.data),
    );
  });

  it('says WEIGHTS_CORRUPT when the file became shorter', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'short');
    writeFileSync(file, new Uint8Array(weights.buffer));
    truncateSync(file, 100);
    const data = { file, offset: 0, length: weights.byteLength };

    const fails = convert(folder, { source: { type: 'float32', shape: [rows, columns], data } });

    await assert.rejects(fails, { code: 'WEIGHTS_CORRUPT' });
  });

  it('ends when it is given up', async () => {
    using folder = temporaryFolder();
    const reason = new Error('given up');

    await assert.rejects(convert(folder, {}, AbortSignal.abort(reason)), reason);
  });
});
