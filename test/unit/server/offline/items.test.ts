import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { outputLine, readItem, tokensOf } from '../../../../server/offline/items.ts';

describe('a line of a data set', () => {
  it('is a sequence', () => {
    const item = readItem('{"input_ids": [1, 2, 3], "prompt_length": 1, "other": 5}', 4);

    assert.deepEqual(item.rows, [{ ids: [1, 2, 3], promptLength: 1 }]);
    const line = outputLine(item, [{ logprobs: [null, -1, -2], sum: -3 }]);
    assert.deepEqual(JSON.parse(line), { line: 4, logprobs: [null, -1, -2], sum: -3 });
  });

  it('is a prompt with two answers', () => {
    const item = readItem('{"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3, 4]}', 0);

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
  });

  for (const text of ['{', '{}', '{"input_ids": []}', '{"input_ids": [1], "prompt_length": 2}']) {
    it(`is refused as ${text}, with its number`, () => {
      assert.throws(() => readItem(text, 4), { code: 'INVALID_REQUEST', message: /line 5/ });
    });
  }
});
