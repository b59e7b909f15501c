// The tokenizer of a checkpoint, as its files have it.
import { createHash } from 'node:crypto';
import { Tokenizer } from '@huggingface/tokenizers';
import { AppError } from '../../../common/errors.ts';
import { isErrno } from '../disk.ts';
import { readInside, type VolumePath } from './inside.ts';

/** From tokenizer.json and tokenizer_config.json of a checkpoint. Rejects when they cannot be read. */
export async function readTokenizer(folder: VolumePath): Promise<Tokenizer> {
  const [tokenizer, config] = await Promise.all([
    readJson(folder, 'tokenizer.json'),
    readTokenizerConfig(folder),
  ]);
  return new Tokenizer(tokenizer, config);
}

/** tokenizer_config.json; empty where there is none that can be read. Rejects with PATH_ESCAPES_VOLUME. */
export const readTokenizerConfig = (folder: VolumePath): Promise<Record<string, unknown>> =>
  readJson(folder, 'tokenizer_config.json').catch(emptyUnlessEscaping);

/** Where newer and older checkpoints keep a chat template: a file of its own, else inside of the configuration. */
export async function readChatTemplate(folder: VolumePath): Promise<unknown> {
  const own = await readIfThere(folder, 'chat_template.jinja');
  if (own !== undefined) return own;
  const wrapped = await readJson(folder, 'chat_template.json').catch(emptyUnlessEscaping);
  if ('chat_template' in wrapped) return wrapped['chat_template'];
  return (await readTokenizerConfig(folder))['chat_template'];
}

function emptyUnlessEscaping(err: unknown): Record<string, unknown> {
  if (err instanceof AppError && err.code === 'PATH_ESCAPES_VOLUME') throw err;
  return {};
}

/** The text of a file. */
async function readIfThere(folder: VolumePath, name: string): Promise<string | undefined> {
  const content = await readInside(folder, name).catch(undefinedIfMissing);
  return content?.toString('utf8');
}

function undefinedIfMissing(err: unknown): undefined {
  if (!(err instanceof AppError && isErrno(err.cause, 'ENOENT'))) throw err;
}

/** "sha256:<hex>" of tokenizer.json; undefined where there is none. */
export async function tokenizerDigest(folder: VolumePath): Promise<string | undefined> {
  const content = await readInside(folder, 'tokenizer.json').catch(undefinedIfMissing);
  return content && `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

async function readJson(folder: VolumePath, name: string): Promise<Record<string, unknown>> {
  const value: Record<string, unknown> = JSON.parse(
    (await readInside(folder, name)).toString('utf8'),
  );
  return value;
}
