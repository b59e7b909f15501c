// Prompts as clients send them → rows of ids: ids as they are, texts and conversations by the model's own tokenizer and
// chat template.
import { AppError } from '../../common/errors.ts';
import type { CatalogModel } from '../contract.ts';
import type { ModelCache } from '../model/cache/model-cache.ts';
import type { LoadedModel } from '../model/loaded.ts';
import type { Conversation, PlainText } from '../text/protocol.ts';
import { type IdRow, readRows } from './rows.ts';
import { isList, type List } from './wire/list.ts';

/** Ids are looked at with the rows. */
export type Prompt = List | PlainText | ChatPrompt;

export interface ChatPrompt extends Conversation {
  /** Of the text that the template makes: it writes special tokens itself, so mostly false. */
  readonly addSpecialTokens: boolean;
  /** Text behind it. */
  readonly answer?: string;
}

/** `text`, `[text, …]`, `[id, …]` or `[[id, …], …]`; `isList` tells one prompt from a list with one. */
export function readPrompts(
  field: string,
  value: string | List,
  addSpecialTokens: boolean,
): { prompts: Prompt[]; isList: boolean } {
  if (typeof value === 'string') {
    return { prompts: [{ text: value, addSpecialTokens }], isList: false };
  }
  if (value.length > 0 && value.every((item: unknown) => typeof item === 'number')) {
    return { prompts: [value], isList: false };
  }
  const prompts = Array.from(value, (item, index): Prompt => {
    if (typeof item === 'string') return { text: item, addSpecialTokens };
    if (isList(item)) return item;
    const message = `reading ${field}[${index}]: expected a text or a list of token ids`;
    throw new AppError('INVALID_REQUEST', message);
  });
  return { prompts, isList: true };
}

interface PromptList {
  readonly field: string;
  readonly prompts: readonly Prompt[];
  /** Of the request that they are of. */
  readonly requestId?: string;
}

/**
 * Rows of the prompts, `field` naming them in errors. Loads the model unless all of them are ids.
 * Throws what the cache and the texts throw, EMPTY_BATCH or INVALID_REQUEST.
 */
export async function toRows(
  cache: Pick<ModelCache<LoadedModel>, 'acquire'>,
  model: CatalogModel,
  { field, prompts, requestId }: PromptList,
  signal: AbortSignal,
): Promise<IdRow[]> {
  if (prompts.every(isIds)) return readRows(field, prompts);
  using lease = await cache.acquire(model, signal, requestId);
  return readRows(field, await toIds(lease.value, prompts, signal));
}

/** The ids of each prompt, by the tokenizer of `loaded`. */
export async function toIds(
  { texts, maxSequenceTokens: maxTokens }: LoadedModel,
  prompts: readonly Prompt[],
  signal: AbortSignal,
): Promise<List[]> {
  const conversations = prompts.filter(isChat);
  const rendered =
    conversations.length > 0 ? await texts.call('chat', { conversations }, signal) : [];
  const written = rendered.values();
  const plain = prompts.filter(isText).map((prompt): PlainText => {
    if (!isChat(prompt)) return prompt;
    const text = `${written.next().value ?? ''}${prompt.answer ?? ''}`;
    return { text, addSpecialTokens: prompt.addSpecialTokens };
  });
  const rows = (await texts.call('encode', { texts: plain, maxTokens }, signal)).values();
  return prompts.map((prompt) => (isIds(prompt) ? prompt : (rows.next().value ?? [])));
}

const isIds = (prompt: Prompt): prompt is List => isList(prompt);
const isText = (prompt: Prompt): prompt is PlainText | ChatPrompt => !isIds(prompt);
const isChat = (prompt: Prompt): prompt is ChatPrompt => isText(prompt) && 'messages' in prompt;
