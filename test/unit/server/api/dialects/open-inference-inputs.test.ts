import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readInputs } from '../../../../../server/api/dialects/open-inference-inputs.ts';

const refused = { code: 'INVALID_REQUEST' };

describe('inputs of the Open Inference Protocol', () => {
  it('are ids without their padding, and remember where that was', () => {
    const input_ids = [Int32Array.of(0, 5, 6), Int32Array.of(7, 0, 0)];
    const attention_mask = [Int32Array.of(0, 1, 1), Int32Array.of(1, 0, 0)];

    assert.deepEqual(readInputs({ input_ids, attention_mask }), {
      prompts: [Int32Array.of(5, 6), Int32Array.of(7)],
      places: [
        { length: 3, start: 1 },
        { length: 3, start: 0 },
      ],
    });
  });

  it('are tokens cut to their lengths', () => {
    const tokens = [
      [1, 2, 3],
      [4, 0, 0],
    ];
    for (const sequence_lengths of [[[3], [1]], Int32Array.of(3, 1)]) {
      assert.deepEqual(readInputs({ tokens, sequence_lengths }).prompts, [[1, 2, 3], [4]]);
    }
    for (const sequence_lengths of [[3], [3, 0], [4, 1], ['3', 1]]) {
      assert.throws(() => readInputs({ tokens, sequence_lengths }), refused);
    }
  });

  it('are texts', () => {
    const text = { text: 'a', addSpecialTokens: true };

    assert.deepEqual(readInputs({ sentences: [['a'], ['a']] }).prompts, [text, text]);
    assert.throws(() => readInputs({ sentences: [5] }), refused);
  });

  it('are nothing else', () => {
    assert.throws(() => readInputs({}), refused);
    assert.throws(() => readInputs({ tokens: [[1]] }), refused);
    assert.throws(() => readInputs({ input_ids: [] }), { code: 'EMPTY_BATCH' });
  });
});
