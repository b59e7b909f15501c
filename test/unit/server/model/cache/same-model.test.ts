import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isSameModel } from '../../../../../server/model/cache/same-model.ts';
import { catalogModel } from '../../../../support/server-kit.ts';

const hub = (commit?: string) => ({
  source: { huggingFace: { repo: 'a/b', revision: 'main', ...(commit && { commit }) } },
});

describe('isSameModel', () => {
  const table = [
    { name: 'as it is', change: {}, same: true },
    { name: 'preloaded', change: { preload: true }, same: true },
    { name: 'quantized otherwise', change: { quantization: 'Int8' as const }, same: false },
    { name: 'with longer rows', change: { maxSequenceTokens: 7 }, same: false },
  ];
  for (const { name, change, same } of table) {
    it(`tells a model from itself ${name}: ${same ? 'the same' : 'another'}`, () => {
      assert.equal(isSameModel(catalogModel('rl/a'), catalogModel('rl/a', change)), same);
    });
  }

  it('does not mind the commit that was found for a revision', () => {
    const [before, after] = [hub(), hub('abc')].map((source) => catalogModel('rl/a', source));

    assert.ok(before && after && isSameModel(before, after));
  });
});
