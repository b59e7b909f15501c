import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { chatFields, chatPrompt } from '../../../../../server/api/dialects/chat.ts';

const messages = [{ role: 'user', content: 'hi' }];
const read = (body: object, generates = false) =>
  chatPrompt(z.object(chatFields).parse({ messages, ...body }), { generates });

describe('chatPrompt', () => {
  it('takes what the route does by itself, unless the request says otherwise', () => {
    assert.equal(read({}, true).options.addGenerationPrompt, true);
    assert.equal(read({}, false).options.addGenerationPrompt, false);
    assert.equal(read({ add_generation_prompt: false }, true).options.addGenerationPrompt, false);
  });

  it('lets the template write the special tokens', () => {
    assert.equal(read({}).addSpecialTokens, false);
    assert.equal(read({ add_special_tokens: true }).addSpecialTokens, true);
  });

  it('hands tools, documents and further variables to the template', () => {
    const { options } = read({
      tools: [1],
      documents: [2],
      chat_template_kwargs: { enable_thinking: false },
    });

    assert.deepEqual(options.variables, { tools: [1], documents: [2], enable_thinking: false });
  });
});
