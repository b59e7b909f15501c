import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPoolWide, leaseRight, rightOf } from '../../../../../operator/gateway/access/rights.ts';

describe('rightOf', () => {
  const cases: [string, string, string][] = [
    ['POST', '/v1/logprobs', 'create score'],
    ['GET', '/tokenizer_info', 'create score'],
    ['GET', '/cache', 'get cache'],
    ['HEAD', '/cache/rl/tiny', 'get cache'],
    ['PUT', '/cache/rl/tiny', 'update cache'],
    ['DELETE', '/cache/', 'delete cache'],
    ['POST', '/cache/rl/tiny', 'update cache'],
    ['POST', '/cached', 'create score'],
  ];
  for (const [method, path, want] of cases) {
    it(`takes ${method} ${path} for ${want}`, () => {
      const { verb, subresource } = rightOf(method, path);

      assert.equal(`${verb} ${subresource}`, want);
    });
  }
});

describe('leaseRight', () => {
  it('tells looking, taking and ending apart', () => {
    const verbs = ['GET', 'PUT', 'DELETE'].map((method) => leaseRight(method).verb);

    assert.deepEqual(verbs, ['get', 'update', 'delete']);
  });
});

describe('isPoolWide', () => {
  it('is true of the cache as a whole only', () => {
    const paths = ['/cache', '/cache/', '/cache/rl/tiny', '/v1/logprobs'];

    assert.deepEqual(paths.map(isPoolWide), [true, true, false, false]);
  });
});
