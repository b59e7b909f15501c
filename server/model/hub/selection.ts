// Which files of a repository a model needs: its configuration, its tokenizer, and the weights as safetensors.
import { AppError } from '../../../common/errors.ts';
import type { HubFile, Listing } from './listing.ts';

const configName = 'config.json';
const weightsName = 'model.safetensors';
export const indexName = 'model.safetensors.index.json';

/** Written out: repositories hold weights of other programs, pictures and checkpoints of the training beside these. */
const smallNames = new Set([
  configName,
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'chat_template.jinja',
  'chat_template.json',
]);

export interface Selection {
  readonly small: readonly HubFile[];
  /** Of a model in several parts: names them. */
  readonly index: HubFile | undefined;
  /** Weights in one file. */
  readonly single: HubFile | undefined;
}

/** Throws MODEL_FILES_MISSING for a repository that holds no model that we can read. */
export function select(repo: string, { commit, files }: Listing): Selection {
  const find = (name: string) => files.find((file) => file.name === name);
  const where = `${repo} at ${commit}`;
  if (!find(configName)) throw missing(`${where} has no ${configName}`);
  const single = find(weightsName);
  const index = single ? undefined : find(indexName);
  if (!single && !index) throw missing(withoutWeights(where, files));
  return { small: files.filter(({ name }) => smallNames.has(name)), index, single };
}

/** The parts that the index names. Throws MODEL_FILES_MISSING. */
export function selectParts(
  repo: string,
  { commit, files }: Listing,
  names: readonly string[],
): HubFile[] {
  return names.map((name) => {
    const part = files.find((file) => file.name === name);
    if (part) return part;
    throw missing(`${repo} at ${commit} has no "${name}", which its ${indexName} names`);
  });
}

function withoutWeights(where: string, files: readonly HubFile[]): string {
  const pickles = files.filter(({ name }) => /\.(bin|pt|pth|ckpt)$/.test(name));
  const found =
    pickles.length > 0
      ? `, and pickle files are not read (${pickles.map(({ name }) => name).join(', ')})`
      : '';
  return `${where} has neither ${weightsName} nor ${indexName}${found}`;
}

const missing = (problem: string): AppError =>
  new AppError('MODEL_FILES_MISSING', `downloading the model: ${problem}`);
