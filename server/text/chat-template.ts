// Conversations → the text that a model was trained to see, by the Jinja template of its checkpoint. Reads no file.
import { Template } from '@huggingface/jinja';
import { z } from 'zod';
import { AppError } from '../../common/errors.ts';
import type { ChatMessage, ChatOptions, SpecialTokens } from './protocol.ts';

/** One template, or several by name: then the one called "default". */
const templates = z.union([
  z.string().transform((template) => ({ default: template })),
  z
    .array(z.object({ name: z.string(), template: z.string() }))
    .transform((list) => Object.fromEntries(list.map(({ name, template }) => [name, template]))),
]);

export class ChatTemplate {
  readonly #template: Template;
  readonly #specialTokens: SpecialTokens;

  private constructor(template: Template, specialTokens: SpecialTokens) {
    this.#template = template;
    this.#specialTokens = specialTokens;
  }

  /** Throws CHAT_TEMPLATE_FAILED where there is none, or none that parses. */
  static parse(source: unknown, specialTokens: SpecialTokens): ChatTemplate {
    const text = templates.safeParse(source).data?.['default'];
    if (text === undefined) throw failed('the model has no chat template');
    try {
      return new ChatTemplate(new Template(text), specialTokens);
    } catch (err: unknown) {
      throw failed('the chat template does not parse', err);
    }
  }

  /** Throws CHAT_TEMPLATE_FAILED with what the template says. */
  render(messages: readonly ChatMessage[], options: ChatOptions): string {
    const { addGenerationPrompt, continueFinalMessage, variables } = options;
    const plain = messages.map(withPlainContent);
    try {
      const text = this.#template.render({
        ...this.#specialTokens,
        ...variables,
        messages: plain,
        add_generation_prompt: addGenerationPrompt && !continueFinalMessage,
      });
      return continueFinalMessage ? openEnd(text, plain.at(-1)) : text;
    } catch (err: unknown) {
      throw failed('the chat template refuses the messages', err);
    }
  }
}

/** Content in parts, all of them text, as the one text that templates expect. */
function withPlainContent(message: ChatMessage): ChatMessage {
  const { content } = message;
  if (!Array.isArray(content)) return message;
  const texts = content.map((part: unknown) => textPart.safeParse(part).data?.text);
  return texts.some((text) => text === undefined)
    ? message
    : { ...message, content: texts.join('\n') };
}

const textPart = z.object({ type: z.literal('text'), text: z.string() });

/** Cuts off what the template writes behind the last message. */
function openEnd(text: string, last: ChatMessage | undefined): string {
  const content = typeof last?.['content'] === 'string' ? last['content'] : '';
  const at = text.lastIndexOf(content.trim());
  if (content.trim() === '' || at < 0) throw new Error('the last message is not in its output');
  const whole = content.trimStart(); // spaces at its end stay, if the template left them
  const end = text.startsWith(whole, at) ? whole.length : content.trim().length;
  return text.slice(0, at + end);
}

function failed(problem: string, cause?: unknown): AppError {
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new AppError('CHAT_TEMPLATE_FAILED', `applying the chat template: ${problem}${reason}`, {
    cause,
  });
}
