import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  bearerToken,
  mayBeOurs,
  refuseDoubles,
} from '../../../../../operator/gateway/access/token.ts';
import { tokenOf } from '../../../../support/access-kit.ts';

const now = Date.UTC(2026, 0, 1);
const code = (wanted: string) => (err: { code?: string }) => err.code === wanted;

describe('bearerToken', () => {
  const cases: { name: string; header: string; want: string | undefined }[] = [
    { name: 'a token', header: 'Bearer a.b-c_d', want: 'a.b-c_d' },
    { name: 'a scheme in any case', header: 'bEARER abc=', want: 'abc=' },
    { name: 'another scheme', header: 'Basic abc', want: undefined },
    { name: 'no token', header: 'Bearer ', want: undefined },
    { name: 'two tokens', header: 'Bearer a, Bearer b', want: undefined },
    { name: 'something after the token', header: 'Bearer a b', want: undefined },
    { name: 'a character that no token has', header: 'Bearer a\u00e9', want: undefined },
  ];
  for (const { name, header, want } of cases) {
    it(`reads ${name}`, () => {
      assert.equal(bearerToken(['Host', 'x', 'AUTHORIZATION', header]), want);
    });
  }

  it('reads the header only where it is a name, not where it is a value', () => {
    assert.equal(bearerToken(['x-note', 'authorization', 'Bearer', 'a']), undefined);
  });
});

describe('refuseDoubles', () => {
  it('refuses what two readers could read differently', () => {
    const tokens = ['Authorization', 'Bearer a', 'authorization', 'Bearer b'];

    assert.throws(() => refuseDoubles(['Host', 'a', 'host', 'a']), code('INVALID_REQUEST'));
    assert.throws(() => refuseDoubles(tokens), code('INVALID_REQUEST'));
    assert.doesNotThrow(() => refuseDoubles(['Host', 'a', 'x-a', '1', 'x-a', '2']));
  });
});

describe('mayBeOurs', () => {
  const cases: { name: string; token: string; want: boolean }[] = [
    { name: 'a token of ours', token: tokenOf('a'), want: true },
    { name: 'one audience as a text', token: tokenOf('a', { aud: 'refmodel' }), want: true },
    { name: 'one of several', token: tokenOf('a', { aud: ['x', 'refmodel'] }), want: true },
    { name: 'another audience', token: tokenOf('a', { aud: ['refmodel.dev'] }), want: false },
    { name: 'the API server’s', token: tokenOf('a', { aud: ['https://k8s'] }), want: false },
    { name: 'an expired one', token: tokenOf('a', { exp: now / 1000 }), want: false },
    { name: 'one that never ends', token: tokenOf('a', { exp: undefined }), want: false },
    { name: 'a key that a client makes up', token: 'EMPTY', want: false },
    {
      name: 'no signature',
      token: `${tokenOf('a').split('.').slice(0, 2).join('.')}.`,
      want: false,
    },
    { name: 'four parts', token: `${tokenOf('a')}.x`, want: false },
    { name: 'claims that are no JSON', token: 'a.b.c', want: false },
    { name: 'one that is too long', token: tokenOf('a', { x: 'x'.repeat(16_384) }), want: false },
  ];
  for (const { name, token, want } of cases) {
    it(`${want ? 'takes' : 'refuses'} ${name}`, () => {
      assert.equal(mayBeOurs(token, now), want);
    });
  }
});
