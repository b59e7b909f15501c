import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  apiVersionOf,
  keyOf,
  refOf,
  resourcePath,
  resources,
} from '../../../../operator/kube/resources.ts';

describe('resourcePath', () => {
  const table = [
    {
      name: 'an object of the core group',
      given: resourcePath(resources.pods, { namespace: 'rl', name: 'a' }),
      want: '/api/v1/namespaces/rl/pods/a',
    },
    {
      name: 'a collection over all namespaces',
      given: resourcePath(resources.deployments, {}),
      want: '/apis/apps/v1/deployments',
    },
    {
      name: 'a subresource',
      given: resourcePath(resources.deployments, {
        namespace: 'rl',
        name: 'a',
        subresource: 'scale',
      }),
      want: '/apis/apps/v1/namespaces/rl/deployments/a/scale',
    },
    {
      name: 'an object of a cluster-scoped kind',
      given: resourcePath(resources.gpuClasses, { namespace: 'ignored', name: 'cpu' }),
      want: '/apis/refmodel.dev/v1alpha1/gpuclasses/cpu',
    },
  ];
  for (const { name, given, want } of table) {
    it(`names ${name}`, () => assert.equal(given, want));
  }
});

describe('names of objects', () => {
  it('are keys with the namespace, if there is one', () => {
    assert.equal(keyOf({ metadata: { name: 'a', namespace: 'rl' } }), 'rl/a');
    assert.equal(keyOf({ metadata: { name: 'cpu' } }), 'cpu');
    assert.deepEqual(refOf({ metadata: { name: 'cpu' } }), { name: 'cpu' });
  });

  it('are versions with the group, if there is one', () => {
    assert.equal(apiVersionOf(resources.pods), 'v1');
    assert.equal(apiVersionOf(resources.leases), 'coordination.k8s.io/v1');
  });
});
