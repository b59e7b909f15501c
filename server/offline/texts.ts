// Text records of a data set, in the formats of TRL, as what a tokenizer is asked: texts and conversations. Pure.
import assert from 'node:assert/strict';
import { z } from 'zod';

const message = z.record(z.string(), z.unknown());
const conversation = z.array(message).min(1);
type Message = z.output<typeof message>;

const chatOptions = {
  /** A list, or a list in JSON, as in data sets whose columns have one type. */
  tools: z.string().or(z.array(z.unknown())).optional(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).optional(),
};

/** The parts of one record are all texts, or all conversations. */
const record = z.union([
  z.object({ prompt: z.string(), chosen: z.string(), rejected: z.string() }),
  z.object({ prompt: conversation, chosen: conversation, rejected: conversation, ...chatOptions }),
  z.object({ prompt: z.string(), completion: z.string() }),
  z.object({ prompt: conversation, completion: conversation, ...chatOptions }),
  z.object({ chosen: z.string(), rejected: z.string() }),
  z.object({ chosen: conversation, rejected: conversation, ...chatOptions }),
  z.object({ messages: conversation, ...chatOptions }),
  z.object({ text: z.string() }),
]);
type TextRecord = z.output<typeof record>;

export const textColumns = [
  'prompt',
  'completion',
  'chosen',
  'rejected',
  'messages',
  'text',
  'tools',
  'chat_template_kwargs',
];

/** The body of `POST /tokenize`. */
export type Tokenize = { prompt: string } | ({ messages: Message[] } & ChatOptions);

interface ChatOptions {
  add_generation_prompt?: boolean;
  tools?: unknown[];
  chat_template_kwargs?: Record<string, unknown>;
}

/** A text to be scored, and what of it is only context: its beginning. */
export interface TextRow {
  readonly whole: Tokenize;
  readonly context: Tokenize | undefined;
}

/**
 * `eos` is written behind texts that do not end with it; a chat template writes its own.
 * Undefined for a record of another format. Throws SyntaxError for `tools` that are no JSON.
 */
export function readTexts(
  value: unknown,
  eos: string,
): { rows: TextRow[]; isPair: boolean } | undefined {
  const parsed = record.safeParse(value);
  if (!parsed.success) return undefined;
  const { data } = parsed;
  const { context, answers } = partsOf(data);
  const options = optionsOf(data);
  return {
    rows: answers.map((answer) => rowOf(context, answer, { eos, options })),
    isPair: 'chosen' in data,
  };
}

type Part = string | Message[];

function partsOf(data: TextRecord): { context: Part; answers: Part[] } {
  if ('text' in data) return { context: '', answers: [data.text] };
  if ('messages' in data) return { context: [], answers: [data.messages] };
  if ('completion' in data) return { context: data.prompt, answers: [data.completion] };
  const { chosen, rejected } = data;
  if ('prompt' in data) return { context: data.prompt, answers: [chosen, rejected] };
  const length = commonLength(chosen, rejected);
  return {
    context: chosen.slice(0, length),
    answers: [chosen.slice(length), rejected.slice(length)],
  };
}

/** What both begin with is the prompt. Of texts a space before the difference belongs to the answers. */
function commonLength(a: Part, b: Part): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && JSON.stringify(a[length]) === JSON.stringify(b[length])) length++;
  return length > 0 && length < most && a[length - 1] === ' ' ? length - 1 : length;
}

function optionsOf(data: object): ChatOptions {
  const { tools, chat_template_kwargs: more } = z.object(chatOptions).parse(data);
  const list = typeof tools === 'string' ? z.array(z.unknown()).parse(JSON.parse(tools)) : tools;
  return { ...(list && { tools: list }), ...(more && { chat_template_kwargs: more }) };
}

function rowOf(
  context: Part,
  answer: Part,
  { eos, options }: { eos: string; options: ChatOptions },
): TextRow {
  if (typeof context === 'string') {
    assert(typeof answer === 'string', 'the schema lets no record mix texts and messages');
    const text = context + answer;
    return {
      whole: { prompt: text.endsWith(eos) ? text : text + eos },
      context: context === '' ? undefined : { prompt: context },
    };
  }
  assert(typeof answer !== 'string', 'the schema lets no record mix texts and messages');
  const chat = (messages: Message[], opens: boolean) => ({
    messages,
    add_generation_prompt: opens,
    ...options,
  });
  return {
    whole: chat([...context, ...answer], false),
    context: context.length === 0 ? undefined : chat(context, true),
  };
}
