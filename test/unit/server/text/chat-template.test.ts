import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ChatTemplate } from '../../../../server/text/chat-template.ts';
import type { ChatOptions } from '../../../../server/text/protocol.ts';

/** In the manner of Llama 3: it writes the first token itself, and trims. */
const source = `{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`;
const tokens = { bos_token: '<s>' };
const options = (values: Partial<ChatOptions> = {}): ChatOptions => ({
  addGenerationPrompt: false,
  continueFinalMessage: false,
  variables: {},
  ...values,
});
const chat = [
  { role: 'user', content: 'Hi ' },
  { role: 'assistant', content: ' Hello there' },
];
const failed = { code: 'CHAT_TEMPLATE_FAILED' };

describe('a chat template', () => {
  it('writes the conversation with the special tokens of the model', () => {
    const template = ChatTemplate.parse(source, tokens);

    assert.equal(
      template.render(chat, options()),
      '<s><|user|>Hi<|end|><|assistant|>Hello there<|end|>',
    );
  });

  it('opens an answer where one is to be generated', () => {
    const template = ChatTemplate.parse(source, tokens);

    const text = template.render(chat.slice(0, 1), options({ addGenerationPrompt: true }));

    assert.equal(text, '<s><|user|>Hi<|end|><|assistant|>');
  });

  it('leaves the last message open where it is to be continued', () => {
    const template = ChatTemplate.parse(source, tokens);

    const text = template.render(chat, options({ continueFinalMessage: true }));

    assert.equal(text, '<s><|user|>Hi<|end|><|assistant|>Hello there');
  });

  it('takes content in parts as one text', () => {
    const template = ChatTemplate.parse(source, tokens);
    const content = [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ];

    assert.equal(template.render([{ role: 'user', content }], options()), '<s><|user|>a\nb<|end|>');
  });

  it('takes the default one of several, and variables of the request', () => {
    const several = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: '{{ thinking }}' },
    ];
    const template = ChatTemplate.parse(several, tokens);

    assert.equal(template.render(chat, options({ variables: { thinking: 'no' } })), 'no');
  });

  it('says what is wrong: none, one that does not parse, one that refuses', () => {
    const refusing = ChatTemplate.parse("{{ raise_exception('roles must alternate') }}", tokens);

    assert.throws(() => ChatTemplate.parse(undefined, tokens), failed);
    assert.throws(() => ChatTemplate.parse('{% for %}', tokens), failed);
    assert.throws(() => refusing.render(chat, options()), failed);
  });

  it('refuses to continue a message that it does not write', () => {
    const template = ChatTemplate.parse('nothing of it', tokens);

    assert.throws(() => template.render(chat, options({ continueFinalMessage: true })), failed);
  });
});
