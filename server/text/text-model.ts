// Texts of one checkpoint ↔ token ids, by its own tokenizer and chat template. Runs in a thread: long texts take long.
import type { Tokenizer } from '@huggingface/tokenizers';
import { AppError } from '../../common/errors.ts';
import type { VolumePath } from '../model/checkpoint/inside.ts';
import {
  readChatTemplate,
  readTokenizer,
  readTokenizerConfig,
} from '../model/checkpoint/tokenizer.ts';
import { ChatTemplate } from './chat-template.ts';
import type { SpecialTokens, TextCalls, TextMethods } from './protocol.ts';

export class TextModel implements TextMethods {
  readonly #tokenizer: Tokenizer;
  readonly #config: Readonly<Record<string, unknown>>;
  readonly #templateSource: unknown;
  readonly #bosId: number | undefined;
  readonly #eosId: number | undefined;
  /** UTF-16 units that one token stands for at most. */
  readonly #longestToken: number;
  #template: ChatTemplate | undefined;

  private constructor(tokenizer: Tokenizer, config: Record<string, unknown>, template: unknown) {
    this.#tokenizer = tokenizer;
    this.#config = config;
    this.#templateSource = template;
    const { bos_token: bos, eos_token: eos } = specialTokens(config);
    this.#bosId = bos === undefined ? undefined : tokenizer.token_to_id(bos);
    this.#eosId = eos === undefined ? undefined : tokenizer.token_to_id(eos);
    this.#longestToken = longest(tokenizer.get_vocab().keys());
  }

  /** Rejects with TOKENIZER_UNAVAILABLE. */
  static async open(folder: VolumePath): Promise<TextModel> {
    try {
      const [tokenizer, config, template] = await Promise.all([
        readTokenizer(folder),
        readTokenizerConfig(folder),
        readChatTemplate(folder),
      ]);
      return new TextModel(tokenizer, config, template);
    } catch (err: unknown) {
      const reason = err instanceof Error ? err.message : String(err);
      const message = `reading the tokenizer of the model, send token ids: ${reason}`;
      throw new AppError('TOKENIZER_UNAVAILABLE', message, { cause: err });
    }
  }

  encode({ texts, maxTokens }: TextCalls['encode']['params']): Int32Array[] {
    return texts.map(({ text, addSpecialTokens }, index) => {
      if (text.length > maxTokens * this.#longestToken) {
        const message = `reading text ${index}: ${text.length} characters are more than ${maxTokens} tokens`;
        throw new AppError('SEQUENCE_TOO_LONG', message);
      }
      return Int32Array.from(addSpecialTokens ? this.#encodeWhole(text) : this.#encodeBare(text));
    });
  }

  chat({ conversations }: TextCalls['chat']['params']): string[] {
    this.#template ??= ChatTemplate.parse(this.#templateSource, specialTokens(this.#config));
    const template = this.#template;
    return conversations.map(({ messages, options }) => template.render(messages, options));
  }

  decode({ rows, skipSpecialTokens }: TextCalls['decode']['params']): string[] {
    return rows.map((ids) => this.#decode(ids, skipSpecialTokens));
  }

  tokens({ ids }: TextCalls['tokens']['params']): string[] {
    return ids.map((id) => this.#decode([id], false));
  }

  names({ ids }: TextCalls['names']['params']): (string | null)[] {
    return ids.map((id) => this.#tokenizer.id_to_token(id) ?? null);
  }

  describe(): Record<string, unknown> {
    const template = this.#templateSource;
    return { ...this.#config, ...(template !== undefined && { chat_template: template }) };
  }

  #decode(ids: readonly number[], skipSpecialTokens: boolean): string {
    if (ids.length === 0) return '';
    return this.#tokenizer.decode([...ids], {
      skip_special_tokens: skipSpecialTokens,
      clean_up_tokenization_spaces: false,
    });
  }

  #encodeBare(text: string): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /** With what the tokenizer adds: as its configuration says, where it does (transformers 5), else by its own rule. */
  #encodeWhole(text: string): number[] {
    const { add_bos_token: addBos, add_eos_token: addEos } = this.#config;
    if (addBos === undefined && addEos === undefined) return this.#encodeByRule(text);
    const ids = this.#encodeBare(text);
    if (addBos === true && this.#bosId !== undefined && ids[0] !== this.#bosId) {
      ids.unshift(this.#bosId);
    }
    if (addEos === true && this.#eosId !== undefined && ids.at(-1) !== this.#eosId) {
      ids.push(this.#eosId);
    }
    return ids;
  }

  /** A text that begins with the first token itself, as a chat template writes it, has it already. */
  #encodeByRule(text: string): number[] {
    const { ids } = this.#tokenizer.encode(text, { add_special_tokens: true });
    const [first, second] = ids;
    const isDoubled = first !== undefined && first === this.#bosId && first === second;
    return isDoubled && this.#encodeBare(text)[0] === first ? ids.slice(1) : ids;
  }
}

/** `bos_token`, `eos_token` and so on: texts, or objects that have one. */
function specialTokens(config: Readonly<Record<string, unknown>>): SpecialTokens {
  const found = Object.entries(config).flatMap(([name, value]): [string, string][] => {
    if (!name.endsWith('_token')) return [];
    if (typeof value === 'string') return [[name, value]];
    const isObject = typeof value === 'object' && value !== null && 'content' in value;
    return isObject && typeof value.content === 'string' ? [[name, value.content]] : [];
  });
  return Object.fromEntries(found);
}

function longest(texts: Iterable<string>): number {
  let length = 1;
  for (const text of texts) length = Math.max(length, text.length);
  return length;
}
