import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { poolNetworkPolicy } from '../../../../../operator/controller/resources/network-policy.ts';
import { gpuClass, referenceModel } from '../../../../support/builders.ts';

const place = { namespace: 'rl', pool: 'p', leased: new Set<string>() };
const plan = { ...place, models: [referenceModel()], gpuClass: gpuClass() };

describe('poolNetworkPolicy', () => {
  it('concerns every pod of the pool, those that take no requests any more included', () => {
    const { metadata, spec } = poolNetworkPolicy(plan, { ingress: [], egress: [] });

    assert.deepEqual(spec?.podSelector?.matchLabels, { 'refmodel.dev/pool': 'p' });
    assert.deepEqual(
      metadata?.ownerReferences?.map(({ uid }) => uid),
      ['uid-tiny'],
    );
  });

  it('lets nothing through where there are no rules', () => {
    const { spec } = poolNetworkPolicy(plan, { ingress: [], egress: [] });

    assert.deepEqual(spec?.policyTypes, ['Ingress', 'Egress']);
  });
});
