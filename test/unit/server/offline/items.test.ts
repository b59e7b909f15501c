import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  columnNames,
  outputLine,
  readItem,
  type Tokenizer,
  tokensOf,
} from '../../../../server/offline/items.ts';

/** A token a letter; a token 0 before each answer that a model is to give. */
const tokenizer: Tokenizer = {
  ids: async (request) => {
    if ('prompt' in request) return Array.from(request.prompt, (letter) => letter.charCodeAt(0));
    const letters = request.messages.map(({ content }) => String(content)).join('');
    const ids = Array.from(letters, (letter) => letter.charCodeAt(0));
    return request.add_generation_prompt ? [...ids, 0] : ids;
  },
  eos: async () => '.',
  joinsPairs: true,
};
const read = (value: unknown, line = 0) => readItem({ line, value, share: 0.5 }, tokenizer);

describe('a record of a data set', () => {
  it('is a sequence', async () => {
    const item = await read({ input_ids: [1, 2, 3], prompt_length: 1, other: 5 }, 4);

    assert.deepEqual(item.rows, [{ ids: [1, 2, 3], promptLength: 1 }]);
    const line = outputLine(item, [{ logprobs: [null, -1, -2], sum: -3 }]);
    assert.deepEqual(JSON.parse(line), { line: 4, logprobs: [null, -1, -2], sum: -3 });
    assert.equal(outputLine(item, [{ reward: [0.5, 1] }]), '{"line":4,"reward":[0.5,1]}\n');
  });

  it('is a prompt with two answers', async () => {
    const item = await read({ prompt_ids: [1], chosen_ids: [2], rejected_ids: [3, 4] });

    assert.deepEqual(
      item.rows.map(({ ids }) => ids),
      [
        [1, 2],
        [1, 3, 4],
      ],
    );
    assert.equal(tokensOf(item), 5);
    const scores = [-1, -2].map((sum) => ({ logprobs: [], sum }));
    assert.equal(
      outputLine(item, scores),
      '{"line":0,"ref_chosen_logps":-1,"ref_rejected_logps":-2}\n',
    );
    assert.equal(
      outputLine(
        item,
        [-1, -2].map((reward) => ({ reward })),
      ),
      '{"line":0,"chosen_reward":-1,"rejected_reward":-2}\n',
    );
  });

  it('is texts, read by the tokenizer of the model', async () => {
    const { rows, isPair, share } = await read({ prompt: 'ab', completion: 'c' });

    assert.deepEqual(rows, [{ ids: [97, 98, 99, 46], promptLength: 2 }]);
    assert.deepEqual([isPair, share], [false, 0.5]);
  });

  it('is cut where the tokens of the context end, and never behind its end', async () => {
    const messages = (content: string) => [{ role: 'x', content }];

    const { rows } = await read({ prompt: messages('ab'), completion: messages('') });

    assert.deepEqual(rows, [{ ids: [97, 98], promptLength: 2 }]);
  });

  it('of a pair is joined as DPO trainers do, where the tokens of the prompt are not those of the whole', async () => {
    const messages = (content: string) => [{ role: 'x', content }];
    const pair = { prompt: messages('a'), chosen: messages('bc'), rejected: messages('d') };

    const joined = await read(pair);
    const whole = await readItem(
      { line: 0, share: 1, value: pair },
      { ...tokenizer, joinsPairs: false },
    );

    assert.deepEqual(joined.rows, [
      { ids: [97, 0, 99], promptLength: 2 },
      { ids: [97, 0], promptLength: 2 },
    ]);
    assert.deepEqual(
      whole.rows.map(({ ids }) => ids),
      [
        [97, 98, 99],
        [97, 100],
      ],
    );
  });

  for (const value of [
    {},
    { input_ids: [] },
    { input_ids: [1], prompt_length: 2 },
    { messages: [{ content: '' }] },
    { messages: [{ content: 'a' }], tools: 'no list' },
  ]) {
    it(`is refused as ${JSON.stringify(value)}, with its number`, async () => {
      await assert.rejects(read(value, 4), { code: 'INVALID_REQUEST', message: /line 5/ });
    });
  }

  it('may have these columns', () => {
    assert.ok(['input_ids', 'chosen_ids', 'chosen', 'text'].every((n) => columnNames.includes(n)));
  });
});
