// Finds the files of a checkpoint on a volume and proves that they are there, inside it and whole.
// Knows Hugging Face's file names; does not know what the tensors mean.
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { fileInside, missing, reach, resolveInside, type VolumePath } from './inside.ts';
import { corrupt, readSafetensors, type StoredTensor } from './safetensors.ts';

export interface Checkpoint {
  /** Absolute, links resolved. */
  readonly folder: string;
  /** config.json, parsed as JSON only. */
  readonly config: unknown;
  /** The files that decide the values, config.json among them, by name in the folder; absolute, links resolved. */
  readonly files: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

const configName = 'config.json';
const weightsName = 'model.safetensors';
const indexName = 'model.safetensors.index.json';

/**
 * Reads everything but the weights themselves. Throws PATH_ESCAPES_VOLUME, MODEL_FILES_MISSING, CONFIG_INVALID,
 * WEIGHTS_CORRUPT or TENSOR_MISSING.
 */
export async function readCheckpoint(source: VolumePath, signal: AbortSignal): Promise<Checkpoint> {
  const { root, folder, names, config } = await openFolder(source);
  const weightMap = await readWeightMap(root, folder, names);
  const files = new Map<string, string>();
  for (const name of [configName, ...weightMap.shards]) {
    files.set(name, await fileInside(root, path.resolve(folder, name)));
  }
  const tensors = await readShards(files, weightMap, signal);
  return { folder, config, files, tensors };
}

/** The part that is there before the weights are. Throws PATH_ESCAPES_VOLUME, MODEL_FILES_MISSING or CONFIG_INVALID. */
export async function readConfig(
  source: VolumePath,
): Promise<Pick<Checkpoint, 'folder' | 'config'>> {
  const { folder, config } = await openFolder(source);
  return { folder, config };
}

async function openFolder(source: VolumePath) {
  const root = await reach(source.root, (at) => realpath(at));
  const folder = await resolveInside(root, path.resolve(root, source.path));
  if (!(await reach(folder, stat)).isDirectory()) throw missing(`${folder} is not a folder`);
  const names = new Set(await reach(folder, (at) => readdir(at)));
  if (!names.has(configName)) throw missing(`${folder} has no ${configName}`);
  const config = await readJson(await fileInside(root, path.join(folder, configName)));
  return { root, folder, names, config };
}

interface WeightMap {
  /** File names, sorted. */
  readonly shards: readonly string[];
  /** Tensor → file name; undefined takes every tensor of the only shard. */
  readonly shardOf?: ReadonlyMap<string, string>;
}

async function readWeightMap(
  root: string,
  folder: string,
  names: ReadonlySet<string>,
): Promise<WeightMap> {
  if (names.has(weightsName)) return { shards: [weightsName] };
  if (!names.has(indexName)) throw withoutWeights(folder, names);
  const file = await fileInside(root, path.join(folder, indexName));
  const shardOf = await readIndex(file);
  return { shards: shardNames(shardOf), shardOf };
}

/** Tensor → file name, from a model.safetensors.index.json. Throws CONFIG_INVALID or WEIGHTS_CORRUPT. */
export async function readIndex(file: string): Promise<ReadonlyMap<string, string>> {
  const index = z.object({ weight_map: z.record(z.string(), z.string().min(1)) });
  const parsed = index.safeParse(await readJson(file));
  if (!parsed.success) throw corrupt(file, 'weight_map is missing or is not a map of names');
  return new Map(Object.entries(parsed.data.weight_map));
}

/** The files that an index names, each once, sorted. */
export const shardNames = (index: ReadonlyMap<string, string>): string[] =>
  [...new Set(index.values())].sort();

async function readShards(
  files: ReadonlyMap<string, string>,
  { shards, shardOf }: WeightMap,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, StoredTensor>> {
  const tensors = new Map<string, StoredTensor>();
  const stored = new Map<string, ReadonlyMap<string, StoredTensor>>();
  for (const shard of shards) {
    signal.throwIfAborted();
    stored.set(shard, await readSafetensors(files.get(shard) ?? shard, signal));
  }
  for (const [shard, found] of stored) {
    for (const [name, tensor] of found) {
      if (!shardOf || shardOf.get(name) === shard) tensors.set(name, tensor);
    }
  }
  for (const [name, shard] of shardOf ?? []) {
    if (!tensors.has(name)) {
      throw new AppError(
        'TENSOR_MISSING',
        `reading ${files.get(shard)}: the index places "${name}" there`,
      );
    }
  }
  return tensors;
}

async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8');
  try {
    return JSON.parse(text);
  } catch (err: unknown) {
    throw new AppError('CONFIG_INVALID', `reading ${file}: not JSON`, { cause: err });
  }
}

function withoutWeights(folder: string, names: ReadonlySet<string>): AppError {
  const pickles = [...names].filter((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
  const found = pickles.length > 0 ? `, and pickle files are not read (${pickles.join(', ')})` : '';
  return missing(`${folder} has neither ${weightsName} nor ${indexName}${found}`);
}
