import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { listAnswer, watchLine } from '../../../../operator/kube/envelopes.ts';

describe('envelopes', () => {
  it('leave the objects in them as they came', () => {
    const object = { metadata: { name: 'a', labels: { x: 'y' } }, spec: { a: [1, { b: null }] } };

    assert.deepEqual(watchLine.parse({ type: 'ADDED', object }).object, object);
    assert.deepEqual(listAnswer.parse({ items: [object], metadata: {} }).items, [object]);
  });

  it('take a list without items for an empty one', () => {
    assert.equal(listAnswer.parse({ items: null, metadata: {} }).items, null);
  });

  it('refuse an event of an unknown type', () => {
    assert.equal(watchLine.safeParse({ type: 'LATER', object: {} }).success, false);
  });
});
