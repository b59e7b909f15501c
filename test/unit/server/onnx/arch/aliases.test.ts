import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aliasesOf } from '../../../../../server/onnx/arch/aliases.ts';

const cases = [
  {
    name: 'model.norm.weight',
    expected: [
      'norm.weight',
      'model.language_model.norm.weight',
      'language_model.model.norm.weight',
    ],
  },
  { name: 'transformer.h.0.ln_1.bias', expected: ['h.0.ln_1.bias'] },
  { name: 'gpt_neox.embed_in.weight', expected: ['embed_in.weight'] },
  { name: 'embed_out.weight', expected: ['lm_head.weight'] },
  { name: 'lm_head.weight', expected: [] },
  { name: 'score.weight', expected: [] },
];

describe('aliasesOf', () => {
  for (const { name, expected } of cases) {
    it(`of ${name} are ${expected.join(', ') || 'none'}`, () => {
      assert.deepEqual(aliasesOf(name), expected);
    });
  }
});
