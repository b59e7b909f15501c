// What the front asks of the thread that knows the texts of a model, and what comes back. Types only.
import type { ErrorCode } from '../../common/errors.ts';
import type { VolumePath } from '../model/checkpoint/inside.ts';

/** As chat APIs have it: `role`, `content`, and whatever else the template of the model reads. */
export type ChatMessage = Readonly<Record<string, unknown>>;

export interface ChatOptions {
  readonly addGenerationPrompt: boolean;
  /** The last message is left open, to be continued. */
  readonly continueFinalMessage: boolean;
  /** Further variables of the template. */
  readonly variables: Readonly<Record<string, unknown>>;
}

export interface PlainText {
  readonly text: string;
  /** Whether the tokenizer adds what it adds: a beginning-of-sequence token, most of all. Never a second one. */
  readonly addSpecialTokens: boolean;
}

export interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly options: ChatOptions;
}

/** By their names in tokenizer_config.json. */
export interface SpecialTokens {
  readonly bos_token?: string;
  readonly eos_token?: string;
  readonly [name: string]: string | undefined;
}

/** Params and result of each method. */
export interface TextCalls {
  /** Text → ids, int32 [n] each. A text that must have more than `maxTokens` is refused before it is read. */
  encode: {
    params: { texts: readonly PlainText[]; maxTokens: number };
    result: Int32Array[];
  };
  /** Conversations → texts, by the chat template of the model. */
  chat: {
    params: { conversations: readonly Conversation[] };
    result: string[];
  };
  /** Ids together → text. */
  decode: {
    params: { rows: readonly (readonly number[])[]; skipSpecialTokens: boolean };
    result: string[];
  };
  /** Each id alone → text; bytes that are no whole character are U+FFFD. */
  tokens: { params: { ids: readonly number[] }; result: string[] };
  /** Each id → its name in the vocabulary. */
  names: { params: { ids: readonly number[] }; result: (string | null)[] };
  /** tokenizer_config.json, with the chat template. */
  describe: { params: Record<string, never>; result: Record<string, unknown> };
}
export type TextMethod = keyof TextCalls;
export type TextMethods = {
  [M in TextMethod]: (params: TextCalls[M]['params']) => TextCalls[M]['result'];
};

export type TextCall = {
  [M in TextMethod]: {
    readonly id: number;
    /** Of the checkpoint. */
    readonly folder: VolumePath;
    readonly method: M;
    readonly params: TextCalls[M]['params'];
  };
}[TextMethod];

export type TextAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { code: ErrorCode; message: string } };
