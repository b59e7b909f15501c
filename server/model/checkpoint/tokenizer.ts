// The tokenizer of a checkpoint, as its files have it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { isErrno } from '../disk.ts';

/** From tokenizer.json and tokenizer_config.json of a checkpoint. Rejects when they cannot be read. */
export async function readTokenizer(folder: string): Promise<Tokenizer> {
  const [tokenizer, config] = await Promise.all([
    readJson(join(folder, 'tokenizer.json')),
    readTokenizerConfig(folder),
  ]);
  return new Tokenizer(tokenizer, config);
}

/** tokenizer_config.json; empty where there is none that can be read. */
export const readTokenizerConfig = (folder: string): Promise<Record<string, unknown>> =>
  readJson(join(folder, 'tokenizer_config.json')).catch(() => ({}));

/** Where newer and older checkpoints keep a chat template: a file of its own, else inside of the configuration. */
export async function readChatTemplate(folder: string): Promise<unknown> {
  const own = await readIfThere(join(folder, 'chat_template.jinja'));
  if (own !== undefined) return own;
  const wrapped = await readJson(join(folder, 'chat_template.json')).catch(() => ({}));
  if ('chat_template' in wrapped) return wrapped['chat_template'];
  return (await readTokenizerConfig(folder))['chat_template'];
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT')) return undefined;
    throw err;
  }
}

async function readJson(file: string): Promise<Record<string, unknown>> {
  const value: Record<string, unknown> = JSON.parse(await readFile(file, 'utf8'));
  return value;
}
