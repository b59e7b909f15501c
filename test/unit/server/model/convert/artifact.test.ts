import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import {
  artifactOf,
  layOutArtifact,
  loadedBytes,
  openArtifact,
} from '../../../../../server/model/convert/artifact.ts';
import type { PlannedTensor } from '../../../../../server/model/convert/plan.ts';
import type { TensorSpec } from '../../../../../server/onnx/arch/inventory.ts';
import { neverAborted } from '../../../../support/engine-kit.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

const [rows, columns] = [6, 80];
const planned = (name: string, format: PlannedTensor['format']): PlannedTensor => ({
  name,
  format,
  source: {
    type: 'bfloat16',
    shape: [rows, columns],
    data: { file: '/f', offset: 0, length: 960 },
  },
  rows,
  columns,
  isTransposed: false,
});
const plan = [
  planned('whole', 'AsIs'),
  planned('eight', 'Int8'),
  planned('four', 'Int4'),
  planned('normal', 'NF4'),
];
const specs = plan.map(
  ({ name }): TensorSpec => ({ name, shape: [rows, columns], role: 'Matrix' }),
);

describe('layOutArtifact', () => {
  it('gives blocks of 32 a code each and a bfloat16 scale, NF4 flat blocks of 64 and float32', () => {
    const { tensors } = layOutArtifact('/f', plan, {});

    const shapes = [...tensors].map(([name, { type, shape }]) => [name, type, ...shape]);
    assert.deepEqual(shapes, [
      ['whole', 'BF16', 6, 80],
      ['eight.codes', 'U8', 6, 3, 32],
      ['eight.scales', 'BF16', 6, 3],
      ['four.codes', 'U8', 6, 3, 16],
      ['four.scales', 'BF16', 6, 3],
      ['normal.codes', 'U8', 240],
      ['normal.scales', 'F32', 8],
      ['refmodel.fidelity', 'F64', 4],
    ]);
  });
});

describe('artifactOf', () => {
  it('tells the format of each tensor from how it is stored', () => {
    const { tensors } = artifactOf(layOutArtifact('/f', plan, {}).tensors, specs);

    const formats = [...tensors.values()].map(({ format }) => format);
    assert.deepEqual(formats, ['AsIs', 'Int8', 'Int4', 'NF4']);
  });

  it('says TENSOR_MISSING for a tensor that is not there', () => {
    const more: TensorSpec[] = [...specs, { name: 'more', shape: [1], role: 'Vector' }];
    const { tensors } = layOutArtifact('/f', plan, {});

    assert.throws(() => artifactOf(tensors, more), { code: 'TENSOR_MISSING' });
  });

  it('turns the shape of a matrix that the checkpoint stores the other way round', () => {
    const turned = specs.map((spec) => ({ ...spec, shape: [columns, rows], isTransposed: true }));

    const found = artifactOf(layOutArtifact('/f', plan, {}).tensors, turned).tensors.get('eight');

    assert.ok(found?.format === 'Int8', 'it is no Int8');
    assert.deepEqual([found.rows, found.columns], [rows, columns]);
  });
});

describe('openArtifact', () => {
  function write(folder: string): string {
    const file = path.join(folder, 'a.safetensors');
    const { header, size } = layOutArtifact(file, plan, {});
    writeFileSync(file, header);
    truncateSync(file, size);
    return file;
  }

  it('reads a file back without being told its layout', async () => {
    using folder = temporaryFolder();
    const file = write(folder.path);

    const artifact = await openArtifact(file, specs, neverAborted);

    assert.deepEqual(artifact, artifactOf(layOutArtifact(file, plan, {}).tensors, specs));
  });

  it('finds nothing where there is no file, or one that was cut short or lacks a tensor', async () => {
    using folder = temporaryFolder();
    const file = write(folder.path);
    const more: TensorSpec[] = [...specs, { name: 'more', shape: [1], role: 'Vector' }];

    assert.equal(await openArtifact(file, more, neverAborted), undefined);
    truncateSync(file, 100);
    assert.equal(await openArtifact(file, specs, neverAborted), undefined);
    assert.equal(await openArtifact(`${file}.not`, specs, neverAborted), undefined);
  });
});

describe('loadedBytes', () => {
  it('counts scales as the float32 that the CPU wants', () => {
    const artifact = artifactOf(layOutArtifact('/f', plan, {}).tensors, specs);

    const eight = rows * 3 * (32 + 4);
    const four = rows * 3 * (16 + 4);
    assert.equal(loadedBytes(artifact), 960 + eight + four + 240 + 32);
  });
});
