import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type CompletionView,
  completionText,
} from '../../../../../server/api/dialects/completion-text.ts';
import { scoreRow } from '../../../../support/bigram-model.ts';
import { scoreAll } from '../../../../support/engine-kit.ts';

const textOf = (id: number) => `<${id}>`;
const head = {
  id: 'cmpl-1',
  created: 7,
  model: 'rl/tiny',
  usage: { prompt_tokens: 3, completion_tokens: 0, total_tokens: 3 },
};

function write(ids: number[], view: Partial<CompletionView>, topK: number, texts = textOf) {
  const tokens = Int32Array.from(ids);
  const wantsNext = view.wantsNext ?? false;
  const values = scoreRow(scoreAll(tokens, { wantsNext, topK, wantsRanks: topK > 0 || wantsNext }));
  const parts = completionText(
    head,
    [{ tokens, values, text: 'shown' }],
    { echo: false, wantsNext, ...view },
    texts,
  );
  const text = [...parts].join('');
  return { text, body: JSON.parse(text), choice: JSON.parse(text).choices[0], values };
}
/** Keys in the order of the text; a parsed object has lost it. */
const keysOf = (text: string) =>
  Array.from(text.matchAll(/"(\d+)":\{/g), (match) => Number(match[1]));

describe('completionText', () => {
  it('has the envelope that clients read', () => {
    const { body } = write([1, 2, 3], {}, 0);

    assert.deepEqual(body, {
      id: 'cmpl-1',
      object: 'text_completion',
      created: 7,
      model: 'rl/tiny',
      choices: [
        {
          index: 0,
          text: 'shown',
          logprobs: null,
          finish_reason: 'length',
          stop_reason: null,
          prompt_logprobs: null,
        },
      ],
      usage: head.usage,
    });
  });

  it('puts the token itself first, then the most likely ones by rank, and none twice', () => {
    const { text, choice, values } = write([60, 61, 5], { promptLogprobs: 3 }, 3);

    const keys = keysOf(text);
    const first = keys.slice(0, 4);
    assert.equal(keys[0], 61);
    assert.deepEqual(first.slice(1), Array.from(values.topIds.slice(0, 3)));
    assert.notDeepEqual(
      first,
      first.toSorted((a, b) => a - b),
      'the case would prove nothing',
    );
    assert.equal(choice.prompt_logprobs[0], null);
    const [entry] = Object.values(choice.prompt_logprobs[1]);
    assert.deepEqual(Object.keys(entry as object), ['logprob', 'rank', 'decoded_token']);
    assert.equal(choice.prompt_logprobs[1][61].rank, values.ranks[0]);
    assert.equal(choice.prompt_logprobs[1][61].decoded_token, '<61>');
  });

  it('has k entries where the token is among the k most likely', () => {
    const [best = 0] = scoreRow(scoreAll([1], { wantsNext: true })).topIds;

    const { choice } = write([1, best], { promptLogprobs: 3 }, 3);

    assert.equal(Object.keys(choice.prompt_logprobs[1]).length, 3);
    assert.equal(choice.prompt_logprobs[1][best].rank, 1);
  });

  it('has only the token itself for zero candidates, with its rank', () => {
    const { choice, values } = write([1, 2], { promptLogprobs: 0 }, 1);

    assert.deepEqual(Object.keys(choice.prompt_logprobs[1]), ['2']);
    assert.equal(choice.prompt_logprobs[1][2].rank, values.ranks[0]);
  });

  it('lists the echoed prompt and the new token in parallel', () => {
    const { choice, values } = write([1, 2], { echo: true, wantsNext: true, logprobs: 2 }, 2);

    const next = values.topIds[values.k];
    const { tokens, token_logprobs, top_logprobs, text_offset } = choice.logprobs;
    assert.deepEqual(tokens, ['<1>', '<2>', `<${next}>`]);
    assert.deepEqual(text_offset, [0, 3, 6]);
    assert.equal(token_logprobs[0], null);
    assert.equal(top_logprobs[0], null);
    assert.deepEqual(token_logprobs.slice(1).map(Math.fround), Array.from(values.logprobs));
    assert.equal(top_logprobs[2][`<${next}>`], token_logprobs[2]);
    assert.equal(Object.keys(top_logprobs[1]).length, 3);
  });

  it('lists only the new token without echo', () => {
    const { choice } = write([1, 2], { wantsNext: true, logprobs: 1 }, 1);

    assert.equal(choice.logprobs.tokens.length, 1);
    assert.equal(choice.logprobs.token_logprobs.length, 1);
    assert.equal(choice.prompt_logprobs, null);
  });

  it('keeps the better of two tokens with one text, and stays valid JSON', () => {
    const oneText = () => '"�\n';

    const { choice, values } = write([1, 2], { echo: true, logprobs: 5 }, 5, oneText);

    const entries = Object.entries(choice.logprobs.top_logprobs[1]);
    assert.deepEqual(
      entries.map(([text]) => text),
      ['"�\n'],
    );
    assert.equal(Math.fround(Number(entries[0]?.[1])), values.logprobs[0]);
  });

  it('counts offsets in code points', () => {
    const { choice } = write([1, 2], { echo: true, logprobs: 0 }, 1, () => '😀');

    assert.deepEqual(choice.logprobs.text_offset, [0, 1]);
  });
});
