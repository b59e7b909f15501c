// What requests in the manner of chat APIs say: messages, and how the model's template is applied to them.
import { z } from 'zod';
import type { ChatPrompt } from '../prompts.ts';

const message = z.record(z.string(), z.unknown());

export const chatFields = {
  messages: z.array(message).min(1),
  add_generation_prompt: z.boolean().nullish(),
  continue_final_message: z.boolean().nullish(),
  /** One that comes with a request could make the model see anything. */
  chat_template: z.null("only the model's own template is applied").optional(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  tools: z.array(z.unknown()).nullish(),
  documents: z.array(z.unknown()).nullish(),
  add_special_tokens: z.boolean().nullish(),
};
const chatRequest = z.object(chatFields);
export type ChatRequest = z.output<typeof chatRequest>;

/** `generates`: whether the template opens an answer of the model unless the request says otherwise. */
export function chatPrompt(body: ChatRequest, { generates }: { generates: boolean }): ChatPrompt {
  const { messages, tools, documents, chat_template_kwargs: more } = body;
  return {
    messages,
    addSpecialTokens: body.add_special_tokens ?? false,
    options: {
      addGenerationPrompt: body.add_generation_prompt ?? generates,
      continueFinalMessage: body.continue_final_message ?? false,
      variables: { ...more, ...(tools && { tools }), ...(documents && { documents }) },
    },
  };
}
