import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readTexts, textColumns } from '../../../../server/offline/texts.ts';

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });
const chat = (messages: object[], add_generation_prompt = false) => ({
  messages,
  add_generation_prompt,
});

describe('a text record', () => {
  for (const { name, given, want, isPair = false } of [
    {
      name: 'a prompt and a completion',
      given: { prompt: 'a', completion: ' b' },
      want: [{ whole: { prompt: 'a b</s>' }, context: { prompt: 'a' } }],
    },
    {
      name: 'a text that ends as it should',
      given: { text: 'a</s>' },
      want: [{ whole: { prompt: 'a</s>' }, context: undefined }],
    },
    {
      name: 'a prompt with two answers',
      given: { prompt: 'a', chosen: 'b', rejected: 'c' },
      isPair: true,
      want: [
        { whole: { prompt: 'ab</s>' }, context: { prompt: 'a' } },
        { whole: { prompt: 'ac</s>' }, context: { prompt: 'a' } },
      ],
    },
    {
      name: 'two texts that begin alike, whose space belongs to the answers',
      given: { chosen: 'It is blue', rejected: 'It is green' },
      isPair: true,
      want: [
        { whole: { prompt: 'It is blue</s>' }, context: { prompt: 'It is' } },
        { whole: { prompt: 'It is green</s>' }, context: { prompt: 'It is' } },
      ],
    },
    {
      name: 'two conversations that begin alike',
      given: {
        chosen: [user('a'), assistant('b')],
        rejected: [user('a'), assistant('c')],
        tools: '[{"name": "f"}]',
      },
      isPair: true,
      want: ['b', 'c'].map((answer) => ({
        whole: { ...chat([user('a'), assistant(answer)]), tools: [{ name: 'f' }] },
        context: { ...chat([user('a')], true), tools: [{ name: 'f' }] },
      })),
    },
    {
      name: 'messages, with what the template is to know',
      given: { messages: [user('a')], chat_template_kwargs: { thinking: true } },
      want: [
        {
          whole: { ...chat([user('a')]), chat_template_kwargs: { thinking: true } },
          context: undefined,
        },
      ],
    },
    {
      name: 'a conversation with its completion and a label',
      given: { prompt: [user('a')], completion: [assistant('b')], label: true },
      want: [{ whole: chat([user('a'), assistant('b')]), context: chat([user('a')], true) }],
    },
  ]) {
    it(`is ${name}`, () => {
      assert.deepEqual(readTexts(given, '</s>'), { rows: want, isPair });
    });
  }

  it('has no end-of-sequence token where there is none', () => {
    assert.deepEqual(readTexts({ text: 'a' }, '')?.rows[0]?.whole, { prompt: 'a' });
  });

  it('is none of texts mixed with messages, of a prompt alone, or of nothing', () => {
    for (const value of [{ prompt: 'a', completion: [user('b')] }, { prompt: 'a' }, {}, null, 3]) {
      assert.equal(readTexts(value, ''), undefined);
    }
  });

  it('names its columns', () => {
    assert.deepEqual(textColumns.slice(0, 2), ['prompt', 'completion']);
  });
});
