import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  isOurs,
  modelLabels,
  owners,
  poolLabels,
  poolSelector,
} from '../../../../../operator/controller/resources/meta.ts';
import { referenceModel } from '../../../../support/builders.ts';

const model = (name: string) => referenceModel({ metadata: { name, uid: `uid-${name}` } });
const ownerReferences = owners([model('a')]);
const desired = { metadata: { labels: poolLabels('rfm-pool-cpu'), ownerReferences } };

describe('owners', () => {
  it('are all models in the order of their names, and none controls', () => {
    assert.deepEqual(owners([model('b'), model('a')]), [
      { apiVersion: 'refmodel.dev/v1alpha1', kind: 'ReferenceModel', name: 'a', uid: 'uid-a' },
      { apiVersion: 'refmodel.dev/v1alpha1', kind: 'ReferenceModel', name: 'b', uid: 'uid-b' },
    ]);
  });
});

describe('isOurs', () => {
  const labels = poolLabels('rfm-pool-cpu');
  const foreign = [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' }];
  const table = [
    { name: 'what we made', live: desired, want: true },
    {
      name: 'what belongs to other models of the pool',
      live: { metadata: { labels, ownerReferences: owners([model('z')]) } },
      want: true,
    },
    { name: 'what has no labels', live: { metadata: { ownerReferences } }, want: false },
    { name: 'what has no owner', live: { metadata: { labels } }, want: false },
    {
      name: 'what something else owns',
      live: { metadata: { labels, ownerReferences: foreign } },
      want: false,
    },
    {
      name: 'the address of a model that is called like the pool',
      live: { metadata: { labels: modelLabels('rfm-pool-cpu'), ownerReferences } },
      want: false,
    },
    {
      name: 'what another tool manages',
      live: {
        metadata: {
          labels: { ...labels, 'app.kubernetes.io/managed-by': 'Helm' },
          ownerReferences,
        },
      },
      want: false,
    },
  ];
  for (const { name, live, want } of table) {
    it(`is ${want} for ${name}`, () => assert.equal(isOurs(live, desired), want));
  }
});

describe('poolSelector', () => {
  it('finds the pods by a label that they have', () => {
    const [[name, value] = []] = Object.entries(poolSelector('p'));

    assert.equal(poolLabels('p')[name ?? ''], value);
  });
});
