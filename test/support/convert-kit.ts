// Small checkpoints on disk for tests of conversion: their blueprint, their tensors, and weights to run.
import path from 'node:path';
import { readCheckpoint } from '../../server/model/checkpoint/source.ts';
import { type FloatTensor, requireTensors } from '../../server/model/checkpoint/tensors.ts';
import { describeModel } from '../../server/onnx/arch/registry.ts';
import { goldenRoot, neverAborted } from './engine-kit.ts';

export interface OpenModel {
  readonly folder: string;
  readonly blueprint: ReturnType<typeof describeModel>;
  readonly sources: ReadonlyMap<string, FloatTensor>;
}

export async function openModel(name: string, root = goldenRoot): Promise<OpenModel> {
  const { folder, config, tensors } = await readCheckpoint({ root, path: name }, neverAborted);
  const blueprint = describeModel(config);
  return {
    folder: path.resolve(folder),
    blueprint,
    sources: requireTensors(blueprint.tensors, tensors),
  };
}

/** Rows of tokens at random, the same for the same seed. */
export function randomRows(
  lengths: readonly number[],
  vocabularySize: number,
  seed = 1,
): Int32Array[] {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabularySize);
  };
  return lengths.map((length) => Int32Array.from({ length }, next));
}
