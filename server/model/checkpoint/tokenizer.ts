// Token ids → text, for answers that show it. A checkpoint without a readable tokenizer.json gets `token_id:<n>`, as vLLM does.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import type { Logger } from '../../../common/log.ts';

export interface TokenTexts {
  /** One token alone; bytes that are no whole character are U+FFFD. */
  token(id: number): string;
  /** The ids together. */
  join(ids: ArrayLike<number>, options: { skipsSpecial: boolean }): string;
}

const numbered: TokenTexts = {
  token: (id) => `token_id:${id}`,
  join: () => '',
};

/** From tokenizer.json and tokenizer_config.json of a checkpoint. Rejects when they cannot be read. */
export async function readTokenizer(folder: string): Promise<Tokenizer> {
  const [tokenizer, config] = await Promise.all([
    readJson(join(folder, 'tokenizer.json')),
    readJson(join(folder, 'tokenizer_config.json')).catch(() => ({})),
  ]);
  return new Tokenizer(tokenizer, config);
}

/** As readTokenizer. Never rejects. */
export async function openTokenizer(folder: string, log: Logger): Promise<TokenTexts> {
  try {
    return tokenTexts(await readTokenizer(folder));
  } catch (err) {
    log.warn({ err, folder }, 'no tokenizer: answers show token ids');
    return numbered;
  }
}

function tokenTexts(tokenizer: Tokenizer): TokenTexts {
  const decode = (ids: number[], skipsSpecial: boolean) =>
    tokenizer.decode(ids, {
      skip_special_tokens: skipsSpecial,
      clean_up_tokenization_spaces: false,
    });
  const known = new Map<number, string>(); // no larger than the vocabulary: ids were checked against it
  return {
    token(id) {
      const text = known.get(id) ?? decode([id], false);
      known.set(id, text);
      return text;
    },
    join: (ids, { skipsSpecial }) => decode(Array.from(ids), skipsSpecial),
  };
}

async function readJson(path: string): Promise<object> {
  return JSON.parse(await readFile(path, 'utf8'));
}
