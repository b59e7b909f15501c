import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../../common/errors.ts';
import { modelInJson } from '../../../../operator/gateway/model-in-json.ts';

const find = (text: string): string | undefined => modelInJson(Buffer.from(text));
/** Enough ids that a body is searched, not parsed. */
const ids = `[${'1,'.repeat(2000)}1]`;
const isMalformed = (err: unknown) => err instanceof AppError && err.code === 'MALFORMED_JSON';

describe('modelInJson', () => {
  it('finds none in no body, and in one that is no object with such a text', () => {
    assert.equal(modelInJson(undefined), undefined);
    assert.equal(modelInJson(Buffer.alloc(0)), undefined);
    for (const text of ['[]', 'null', '"model"', '{}', '{"model":3}', '{"x":{"model":"a"}}']) {
      assert.equal(find(text), undefined, text);
    }
  });

  it('throws MALFORMED_JSON for a short body that is none', () => {
    assert.throws(() => find('{"model":"rl/tiny"'), isMalformed);
  });

  const places = {
    first: `{"model":"rl/tiny","input_ids":${ids}}`,
    last: `{ "input_ids" : ${ids} , "model" : "rl/tiny" }`,
    'in between': `{"a":${ids},"model":"rl/tiny","b":${ids}}`,
    'last of several': `{"model":"a","input_ids":${ids},"model":"rl/tiny"}`,
    'after those of others': `{"x":[{"model":"a"}],"model":"rl/tiny","y":{"model":"b"},"input_ids":${ids}}`,
    'after a text that reads like it': `{"type":"model","x":"{","model":"rl/tiny","y":"}]","input_ids":${ids}}`,
    'with an escape': `{"input_ids":${ids},"mod\\u0065l":"rl\\u002ftiny"}`,
  };
  for (const [place, text] of Object.entries(places)) {
    it(`finds one that stands ${place} in a long body`, () => {
      assert.equal(find(text), 'rl/tiny');
    });
  }

  it('does not read the ids of a long body: what is wrong in them is for the pod to say', () => {
    assert.equal(find(`{"model":"rl/tiny","input_ids":${ids.replace('1,', ',')}}`), 'rl/tiny');
  });

  it('finds what a parse finds', () => {
    const space = fc.constantFrom('', '', ' ', '\n\t', '\r\n  ');
    const text = fc.oneof(
      fc.constantFrom('model', 'mod', 'x', '', 'rl/tiny', '{', ']', ',"model":', 'ä', '\u2028'),
      fc.string({ maxLength: 6 }),
    );
    const quoted = fc.oneof(
      text.map((plain) => JSON.stringify(plain)),
      fc.constantFrom('"model"', '"mod\\u0065l"', '"\\"model\\":"', '"\\\\"'),
    );
    const { value } = fc.letrec<{ value: string; list: string; object: string }>((tie) => {
      const join = (open: string, close: string) => (parts: string[]) =>
        open + parts.join(',') + close;
      const spaced = (inner: fc.Arbitrary<string>) =>
        fc.tuple(space, inner, space).map((parts) => parts.join(''));
      const member = fc
        .tuple(spaced(quoted), spaced(tie('value')))
        .map(([name, of]) => `${name}:${of}`);
      return {
        list: fc.array(spaced(tie('value')), { maxLength: 3 }).map(join('[', ']')),
        object: fc.array(member, { maxLength: 4 }).map(join('{', '}')),
        value: fc.oneof(
          { depthSize: 'small', withCrossShrink: true },
          fc.constantFrom('1', 'null', 'true', '-0.5e3', ids),
          quoted,
          tie('list'),
          tie('object'),
          tie('object'),
        ),
      };
    });
    const members = fc.array(fc.tuple(quoted, value), { maxLength: 5 });
    fc.assert(
      fc.property(members, fc.nat(5), fc.boolean(), (around, at, isPadded) => {
        const parts = around.map(([name, of]) => `${name}: ${of}`);
        if (isPadded) parts.splice(at, 0, `"input_ids":${ids}`);
        const body = `{${parts.join(',')}}`;
        const parsed = JSON.parse(body) as { model?: unknown };

        const want = typeof parsed.model === 'string' ? parsed.model : undefined;
        assert.equal(find(body), want, body.replaceAll(ids, 'IDS'));
      }),
      { numRuns: 2000 },
    );
  });
});
