import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { mergePatch } from '../../../../../operator/controller/plan/merge-patch.ts';

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** RFC 7386, section 2, as it is written there. */
function applied(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Json = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = applied(result[name], value);
  }
  return result;
}

const value = fc.letrec((tie) => ({
  any: fc.oneof(fc.integer(), fc.string(), fc.boolean(), tie('list'), tie('object')),
  list: fc.array(tie('any'), { maxLength: 3 }),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('any'), {
    maxKeys: 3,
    noNullPrototype: true,
  }),
}));
const object = value.object.filter(isObject);

describe('mergePatch', () => {
  it('turns one object into the other', () => {
    fc.assert(
      fc.property(object, object, (from, to) => {
        assert.deepEqual(applied(from, mergePatch(from, to) ?? {}), { ...to });
      }),
    );
  });

  it('is nothing for what is the same', () => {
    fc.assert(
      fc.property(object, (same) => {
        assert.equal(mergePatch(same, structuredClone(same)), undefined);
      }),
    );
  });

  it('takes a field set to undefined for one that is absent', () => {
    assert.equal(mergePatch({}, { a: undefined }), undefined);
    assert.deepEqual(mergePatch({ a: 1 }, { a: undefined }), { a: null });
  });

  it('changes no more of a nested object than it must', () => {
    assert.deepEqual(mergePatch({ a: { b: 1, c: 2 } }, { a: { b: 1, d: 3 } }), {
      a: { c: null, d: 3 },
    });
  });
});
