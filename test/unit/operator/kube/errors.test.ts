import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ignoreNotFound,
  isAlreadyExists,
  isConflict,
  isGone,
  isNotFound,
  isRefused,
  KubernetesApiError,
} from '../../../../operator/kube/errors.ts';

const refusal = (apiStatus: number, reason = '') =>
  new KubernetesApiError('no', { apiStatus, reason });

describe('predicates of API errors', () => {
  const table = [
    { name: 'a missing object', given: refusal(404), want: [isNotFound] },
    { name: 'a changed object', given: refusal(409, 'Conflict'), want: [isConflict] },
    { name: 'a taken name', given: refusal(409, 'AlreadyExists'), want: [isAlreadyExists] },
    { name: 'an old version', given: refusal(410), want: [isGone] },
    { name: 'an invalid object', given: refusal(422), want: [isRefused] },
    { name: 'a forbidden call', given: refusal(403), want: [isRefused] },
    { name: 'a webhook that refuses', given: refusal(500), want: [isRefused] },
    { name: 'a server that is busy', given: refusal(503), want: [] },
    { name: 'no answer', given: refusal(0, 'Timeout'), want: [] },
    { name: 'something else', given: new Error('404'), want: [] },
  ];
  for (const { name, given, want } of table) {
    it(`tell ${name}`, () => {
      const all = [isNotFound, isConflict, isAlreadyExists, isGone, isRefused];

      assert.deepEqual(
        all.filter((predicate) => predicate(given)),
        want,
      );
    });
  }
});

describe('ignoreNotFound', () => {
  it('takes a missing object for an answer and throws the rest on', () => {
    const conflict = refusal(409, 'Conflict');

    assert.equal(ignoreNotFound(refusal(404)), undefined);
    assert.throws(() => ignoreNotFound(conflict), conflict);
  });
});
